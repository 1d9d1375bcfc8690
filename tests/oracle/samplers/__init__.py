"""Cases of the samplers' goldens, a module a family of methods; see ../make_sampler_goldens.py."""
