// How xnorctl infer shows its results: a table, or JSON line by line, and files in --out.
#ifndef XNORCTL_INFER_OUTPUT_H
#define XNORCTL_INFER_OUTPUT_H

#include "clients/xnorctl/cloud.h"
#include "clients/xnorctl/image_result.h"
#include "clients/xnorctl/scene.h"
#include "clients/xnorctl/table.h"
#include "xnord.h"

typedef struct infer_output {
    bool as_json;
    const char *folder; // NULL: none
    bool further;       // a column for the labels after the first
    const xnord_model_info *model;
    table rows;
} infer_output;

// Whether the model labels points rather than clouds.
bool infer_output_is_scene(const xnord_model_info *model);
// Whether it takes images.
bool infer_output_is_image(const xnord_model_info *model);
// `model` must outlive it.
infer_output infer_output_start(bool as_json, const char *folder, uint64_t top_k,
                                const xnord_model_info *model);
// Returns XNORCTL_OK, or XNORCTL_FAILED after saying why on stderr.
int infer_output_result(infer_output *output, const char *path, const cloud *points,
                        const xnord_result *result);
// The same for a cloud whose points were labelled; also writes them as .ply and seen from above.
int infer_output_scene(infer_output *output, const char *path, const cloud *points,
                       const scene_labels *scene);
// The same for an image; also writes its maps.
int infer_output_image(infer_output *output, const image_result *result);
// The reason is on stderr already; JSON tells it too, so that no file is without an object.
void infer_output_failure(infer_output *output, const char *path, const char *status,
                          const char *message);
// Prints the table and releases everything.
void infer_output_finish(infer_output *output);

#endif
