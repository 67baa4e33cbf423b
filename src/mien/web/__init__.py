"""The page in the browser, whose recognition runs on the visitor's machine, and a server for it and for programs."""
