// Points as text: .xyz and .txt, one point per line, x y z first, any further columns ignored.
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/scan.h"

#define SEPARATORS ",;"

xnor_status cloud_read_text(const cloud_file *file, const cloud_options *options, cloud *out) {
    (void)options;
    scan cursor = scan_start(file->data, file->size);
    scan_span line;
    while (scan_filled_line(&cursor, '#', &line)) {
        double xyz[3];
        scan_span rest = line, word;
        for (int i = 0; i < 3; i++)
            if (!scan_word(&rest, SEPARATORS, &word) || !scan_real(word, &xyz[i]))
                return xnor_fail(XNOR_E_FORMAT, "%s: line %zu: expected x y z, found '%s'",
                                 file->name, cursor.line, scan_show(line).text);
        XNOR_TRY(cloud_add(file->name, xyz, out));
    }
    return XNOR_OK;
}
