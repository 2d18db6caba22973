"""The service over HTTP: REST, server-sent events and one page; `app.create_app` puts it together.

===========  ==========================================================================================
package      purpose
===========  ==========================================================================================
`routes`     one module per group of routes; each route is a few lines
`content`    answers: tables, headline numbers, pictures, curves at constant age
`security`   keys and scopes, limits on requests
===========  ==========================================================================================
"""
