// Names from data reach the page as text nodes or attribute values only, never as markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  document.documentElement.classList.add("with-script");

  function element(name, text, ...children) {
    const made = document.createElement(name);
    if (text !== null) made.textContent = text;
    made.append(...children);
    return made;
  }

  function shown(value) {
    if (value === null || value === undefined) return "–";
    if (typeof value === "boolean") return value ? "yes" : "no";
    return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
  }

  // ---- tables

  // A filter is text that the cell must contain or, for numbers, a bound such as ">= 5" or "< 0.05".
  function matches(wanted, value) {
    const bound = /^\s*(<=|>=|<|>|=)\s*(-?[\d.]+(?:e-?\d+)?)\s*$/i.exec(wanted);
    if (!bound) return shown(value).toLowerCase().includes(String(wanted).trim().toLowerCase());
    if (typeof value !== "number") return false;
    const limit = Number(bound[2]);
    return { "<": value < limit, ">": value > limit, "<=": value <= limit, ">=": value >= limit, "=": value === limit }[bound[1]];
  }

  // Undefined values stand last, whichever way the column is sorted.
  function compare(a, b, rowA, rowB, column, direction) {
    if (a === null || b === null) return a === b ? 0 : (a === null) === (direction === "asc") ? 1 : -1;
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function cellContent(cell, column) {
    const link = cell.getRow().getData().link;
    if (column !== "task" || link === null) return document.createTextNode(shown(cell.getValue()));
    const anchor = element("a", shown(cell.getValue()));
    anchor.href = `#curve-${link}`;
    return anchor;
  }

  function buildTable(part) {
    const source = data.tables[part.dataset.table];
    const rows = source.rows.map((row) => ({ link: row[0], ...Object.fromEntries(row.slice(1).map((cell, i) => [`c${i}`, cell])) }));
    const table = new Tabulator(part.querySelector(".live"), {
      data: rows,
      layout: "fitDataFill",
      pagination: true,
      paginationSize: 15,
      columns: source.columns.map((name, i) => ({
        title: name,
        titleFormatter: () => document.createTextNode(name),
        field: `c${i}`,
        hozAlign: source.numeric[i] ? "right" : "left",
        frozen: i === 0 && window.innerWidth > 640,
        maxInitialWidth: 320,
        headerFilter: "input",
        headerFilterPlaceholder: source.numeric[i] ? "e.g. > 5" : "contains",
        headerFilterFunc: matches,
        sorter: compare,
        formatter: (cell) => cellContent(cell, name),
      })),
    });
    const count = part.querySelector(".table-count");
    table.on("dataFiltered", (filters, kept) => { count.textContent = `${kept.length} of ${rows.length} rows`; });
    table.on("tableBuilt", () => {
      for (const column of table.getColumns()) makeSortable(table, column);
      part.querySelectorAll(".tabulator-header-filter input").forEach((input, i) => input.setAttribute("aria-label", `Filter ${source.columns[i]}`));
    });
    part.querySelector(".tool").hidden = false;
    part.querySelector(".table-search").addEventListener("input", (event) => {
      const wanted = event.target.value;
      table.setFilter((row) => Object.entries(row).some(([key, value]) => key !== "link" && matches(wanted, value)));
    });
  }

  // The library sorts on click; a header must also work from the keyboard.
  function makeSortable(table, column) {
    const header = column.getElement();
    header.tabIndex = 0;
    header.addEventListener("keydown", (event) => {
      if (event.target !== header || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      table.setSort(column, header.getAttribute("aria-sort") === "ascending" ? "desc" : "asc");
    });
  }

  // ---- curve explorer

  const pick = Object.fromEntries(["task", "subtask", "metric", "shots", "family"].map((name) => [name, $(`pick-${name}`)]));
  const every = "all families";
  const tip = element("div", null);
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  let view = null;

  function fill(select, values, wanted) {
    // without a value of its own an option's is its text, trimmed
    select.replaceChildren(...values.map((value) => Object.assign(element("option", String(value)), { value })));
    select.value = values.map(String).includes(String(wanted)) ? wanted : values[0];
    select.disabled = values.length < 2;
  }

  // What a text field makes of a name: it holds no line ends.
  const typed = (name) => name.replace(/[\r\n]/g, "");
  const unique = (curves, name) => [...new Set(curves.map((curve) => curve[name]))];

  // Each choice narrows the next; a former choice stays where it is still possible.
  function narrow(wanted = {}) {
    let left = data.curves.filter((curve) => typed(curve.task) === pick.task.value);
    if (!left.length) return [];
    for (const name of ["subtask", "metric", "shots"]) {
      fill(pick[name], unique(left, name), wanted[name] ?? pick[name].value);
      left = left.filter((curve) => String(curve[name]) === pick[name].value);
    }
    const families = unique(left, "family");
    fill(pick.family, families.length > 1 ? [every, ...families] : families, wanted.family ?? pick.family.value);
    return pick.family.value === every ? left : left.filter((curve) => curve.family === pick.family.value);
  }

  function showTip(handler, event, item, value) {
    tip.hidden = !value;
    if (!value) return;
    tip.replaceChildren(...Object.entries(value).map(([name, text]) => element("div", null, element("dt", name), element("dd", text))));
    tip.style.left = `${Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 12)}px`;
  }

  function draw(wanted) {
    const curves = narrow(wanted);
    if (!curves.length) { $("explorer-note").textContent = `No curve of a task named "${pick.task.value}" is in this page.`; return; }
    const hasNormalised = curves.some((curve) => curve.z.some((value) => value !== null));
    const normalised = document.querySelector("input[name=scoring][value=normalised]");
    normalised.disabled = !hasNormalised;
    if (!hasNormalised) document.querySelector("input[name=scoring][value=raw]").checked = true;
    const field = normalised.checked ? "z" : "y";
    $("explorer-note").textContent = hasNormalised ? "" : "No normalised score: its bounds are known for a task's preferred metric only.";
    const points = curves.flatMap((curve) => curve.x.map((scale, i) => ({ family: curve.family, model: curve.model[i], scale, score: curve[field][i] })));
    plot(points.filter((point) => point.scale !== null && point.score !== null), normalised.checked ? "score, 0 = low and 1 = high" : curves[0].metric, normalised.checked ? [] : curves[0].references ?? []);
    describe(curves, points);
  }

  function plot(points, label, references) {
    const dark = window.matchMedia("screen and (prefers-color-scheme: dark)").matches;
    const ink = dark ? "#e8e8e8" : "#1c2126";
    const grid = dark ? "#3a424a" : "#d5dae0";
    const x = { field: "scale", type: "quantitative", title: "effective parameters", scale: { ...($("log-axis").checked ? { type: "log" } : { type: "linear", zero: false }), nice: false, padding: 14 }, axis: { format: "~s", tickCount: 6, grid: !$("log-axis").checked } };
    // As a title of its own the name of a metric would become part of expressions, and be evaluated with them.
    const y = { field: "score", type: "quantitative", axis: { title: { signal: "label" } }, scale: { zero: false } };
    const family = { field: "family", type: "nominal", title: null };
    const spec = {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      params: [{ name: "label", value: label }],
      data: { values: points },
      width: $("chart").clientWidth,
      height: 330,
      autosize: { type: "fit", contains: "padding" },
      background: null,
      config: {
        aria: false, // descriptions of marks are expressions; the chart is one image with a label and a table beside it
        font: "system-ui, sans-serif",
        axis: { titleLimit: 320, labelColor: ink, titleColor: ink, gridColor: grid, domainColor: grid, tickColor: grid, labelFontSize: 12, titleFontSize: 12 },
        legend: { labelColor: ink, orient: "top", labelFontSize: 12, columns: window.innerWidth < 640 ? 1 : 4, labelLimit: 260 },
        view: { stroke: null },
        range: { category: ["#3b8fd0", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a8a8a"] },
      },
      layer: [
        { mark: { type: "line", strokeWidth: 2 }, encoding: { x, y, color: family, strokeDash: { ...family, legend: null } } },
        { mark: { type: "point", filled: true, size: 70 }, encoding: { x, y, color: family, shape: family } },
        {
          mark: { type: "point", size: 700, opacity: 0 },
          encoding: { x, y, color: family, tooltip: [{ field: "family" }, { field: "model" }, { field: "scale", type: "quantitative", format: ".4~s" }, { field: "score", type: "quantitative", format: ".6~g" }] },
        },
        // Chance and human raters are levels of the raw score.
        ...(references.length ? [{
          data: { values: references.map(([kind, level]) => ({ kind, level })) },
          encoding: { y: { field: "level", type: "quantitative" } },
          layer: [
            { mark: { type: "rule", strokeDash: [2, 3], color: ink, opacity: 0.8 } },
            { mark: { type: "text", align: "right", dx: -4, dy: -6, color: ink, fontSize: 11 }, encoding: { x: { value: "width" }, text: { field: "kind" } } },
          ],
        }] : []),
      ],
    };
    if (view) view.finalize();
    const runtime = vega.parse(vegaLite.compile(spec).spec, null, { ast: true });
    view = new vega.View(runtime, { expr: vegaInterpreter.expressionInterpreter, renderer: "svg", container: $("chart"), hover: true });
    view.tooltip(showTip).run();
  }

  function describe(curves, points) {
    const header = (text) => element("th", text);
    const head = element("tr", null, header("family"), ...curves.map((curve) => header(curve.family)));
    const names = Object.keys(curves[0].facts);
    const body = names.map((name) => element("tr", null, header(name), ...curves.map((curve) => element("td", shown(curve.facts[name])))));
    $("facts").replaceChildren(element("table", null, element("thead", null, head), element("tbody", null, ...body)));
    const columns = ["family", "model", "scale", "score"];
    const rows = points.map((point) => element("tr", null, ...columns.map((name) => element("td", name === "score" ? String(point[name] ?? "–") : shown(point[name])))));
    const table = element("table", null, element("thead", null, element("tr", null, ...columns.map(header))), element("tbody", null, ...rows));
    $("values").querySelector("div").replaceChildren(table);
  }

  function follow() {
    const found = /^#curve-(\d+)$/.exec(window.location.hash);
    const curve = found && data.curves[Number(found[1])];
    if (!curve) return;
    pick.task.value = curve.task;
    draw(curve);
    const heading = $("explorer").querySelector("h2");
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  }

  document.querySelectorAll("[data-table]").forEach(buildTable);
  if (data.curves.length) {
    document.querySelector(".controls").hidden = false;
    document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
    document.querySelector(".controls").addEventListener("change", () => draw());
    $("task-names").append(...unique(data.curves, "task").sort().map((name) => { const option = element("option", null); option.value = name; return option; }));
    pick.task.value = data.curves[0].task;
    draw();
    window.addEventListener("hashchange", follow);
    window.matchMedia("screen and (prefers-color-scheme: dark)").addEventListener("change", () => draw());
    let width = window.innerWidth;
    window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; draw(); } });
    follow();
  }
})();
