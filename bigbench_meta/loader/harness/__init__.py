"""Result files of evaluation harnesses: one module a format, declared columns, and one reader that walks them."""
