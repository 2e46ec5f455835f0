"""Who trains and who answers. A page asks `Jobs` for something; what comes of it stands in the run folder."""
