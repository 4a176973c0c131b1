// The part of the metadata that describes images and what a network makes of them.
#ifndef XNOR_FORMAT_METADATA_IMAGE_H
#define XNOR_FORMAT_METADATA_IMAGE_H

#include <msgpack/pack.h>

#include "format/metadata.h"
#include "format/msgpack_read.h"

// Of metadata.c: a string, and an array of strings.
void xnor_metadata_text(msgpack_packer *packer, const char *text);
void xnor_metadata_texts(msgpack_packer *packer, const char *const *texts, uint32_t count);

// The pairs "image" and "outputs".
void xnor_metadata_image_write(msgpack_packer *packer, const xnor_description *d);
void xnor_metadata_image_read(xnor_msgpack *r, xnor_image_input *out);
void xnor_metadata_outputs_read(xnor_msgpack *r, xnor_description *out);
const char *xnor_metadata_image_flaw(const xnor_description *d);

#endif
