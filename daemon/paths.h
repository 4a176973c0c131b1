// Where the daemon's sockets live. Main thread, before anything else runs.
#ifndef XNORD_PATHS_H
#define XNORD_PATHS_H

#include "reason.h"

#include <stddef.h>

// The socket to serve on when none is configured:
//   $RUNTIME_DIRECTORY/infer.sock        started by systemd with RuntimeDirectory=
//   /run/xnord/infer.sock                root
//   $XDG_RUNTIME_DIR/xnord/infer.sock    anybody else
XNOR_NODISCARD xnor_status paths_default_url(char *url, size_t size, struct reason *why);
// Checks the length of an ipc:// path and makes its directory (mode 0750, one level) when missing.
// Other URLs pass.
XNOR_NODISCARD xnor_status paths_prepare(const char *url, struct reason *why);

#endif
