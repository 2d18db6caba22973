"""From a request to a queued analysis.

::

    POST /analyses, CLI ------------------------------------+
                                                            v
    run stops in Tiled --> AutomaticMode -- eligible? --> Submission --> queued in Tiled
    Bluesky documents ---> DocumentTriggers --^   |
                                                  +-- not eligible: the run list shows the reason

`eligibility` holds the built-in rules, `site_rules` those of the site.
"""
