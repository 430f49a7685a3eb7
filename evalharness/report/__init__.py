"""What people read: console table, Markdown, single-file HTML, tidy frames."""
