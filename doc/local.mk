# Manual page and papers.
dist_man_MANS += doc/sfumato.1
EXTRA_DIST += doc/abi.md doc/add-backend.md doc/add-model.md doc/add-op.md doc/add-sampler.md doc/benchmarks.md doc/cpu.md doc/design.md doc/gpu.md doc/pictures/samplers.png doc/pictures/sheet.png doc/samplers.md
