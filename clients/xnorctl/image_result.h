// What the daemon has made of an image: as rows of a table, as JSON, and as files to look at.
#ifndef XNORCTL_IMAGE_RESULT_H
#define XNORCTL_IMAGE_RESULT_H

#include <stdio.h>

#include "clients/xnorctl/image.h"
#include "clients/xnorctl/table.h"
#include "xnord.h"

#define IMAGE_RESULT_COLUMNS 5 // FILE, OUTPUT, FOUND, amount, latency

typedef struct image_result {
    const char *path; // of the image
    const image *image;
    const xnord_model_info *model;
    const xnord_result *answer;
} image_result;

// Whether every map has the image's size, and class ids have names. XNOR_E_FORMAT says what has not.
XNOR_NODISCARD xnor_status image_result_check(const image_result *r);
void image_result_rows(const image_result *r, table *rows);
void image_result_json(const image_result *r, FILE *stream);
// Into `folder`, FILE.NAME.png with
//   segmentation   class ids as indexes of a palette; FILE.NAME.overlay.png: the image in the classes'
//                  colours, with a legend
//   depth          16 bits, millimetres, 0 where there is none
//   normals        127 x component + 128
//   edges          255 x probability
//   boxes          the image with the boxes
// and FILE.NAME.npy with what is none of these.
XNOR_NODISCARD xnor_status image_result_write(const image_result *r, const char *folder);

#endif
