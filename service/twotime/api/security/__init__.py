"""Who may ask what.

::

    request --> BodyLimit --> KeyGuard --> route
                               |-- no key                          401, or the login page
                               |-- key of the service, its scopes  200, or 403 if the scope is missing
                               |-- key of Tiled (if allowed)       the route gets a service restricted to that key
                               |-- wrong key too often             429 with Retry-After
"""
