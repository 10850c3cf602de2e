"""Write results as text, JSON, Markdown, HTML or a live screen."""
