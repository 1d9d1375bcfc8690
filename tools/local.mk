# Scripts for those who work on Sfumato; targets.mk has the targets that run them.

EXTRA_DIST += \
	tools/check-aarch64 \
	tools/check-oclgrind \
	tools/check-static \
	tools/check-tree \
	tools/format \
	tools/fuzz
