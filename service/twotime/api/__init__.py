"""The service over HTTP: REST, server-sent events and one page; `app.create_app` puts it together."""
