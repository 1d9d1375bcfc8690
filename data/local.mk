# The model that ships with Sfumato, with its licence note.

emojidir = $(sfdatadir)/models/emoji
emoji_text_encoderdir = $(emojidir)/text_encoder
emoji_tokenizerdir = $(emojidir)/tokenizer
emoji_schedulerdir = $(emojidir)/scheduler
emoji_unetdir = $(emojidir)/unet
emoji_vaedir = $(emojidir)/vae

dist_emoji_DATA = data/models/emoji/README.md data/models/emoji/model_index.json \
	data/models/emoji/sfumato.json
dist_emoji_text_encoder_DATA = \
	data/models/emoji/text_encoder/config.json \
	data/models/emoji/text_encoder/model.safetensors
dist_emoji_tokenizer_DATA = \
	data/models/emoji/tokenizer/merges.txt \
	data/models/emoji/tokenizer/special_tokens_map.json \
	data/models/emoji/tokenizer/tokenizer_config.json \
	data/models/emoji/tokenizer/vocab.json
dist_emoji_scheduler_DATA = \
	data/models/emoji/scheduler/scheduler_config.json
dist_emoji_unet_DATA = \
	data/models/emoji/unet/config.json \
	data/models/emoji/unet/diffusion_pytorch_model.safetensors
dist_emoji_vae_DATA = \
	data/models/emoji/vae/config.json \
	data/models/emoji/vae/diffusion_pytorch_model.safetensors
EXTRA_DIST += data/models/emoji/examples.png
