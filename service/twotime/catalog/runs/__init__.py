"""Raw runs in Tiled.

::

    watch / poll --> search.find_run --> run_facts --> tiled_frames (detector_files in place, else HTTP)
                                                       mask_library, previews
"""
