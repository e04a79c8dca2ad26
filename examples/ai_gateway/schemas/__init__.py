"""What model servers speak: a request and its response between OpenAI's form, which clients use, and the server's own. Pure."""
