// Numbers from text: the short way must round as strtod does.
#include "clients/xnorctl/scan.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool real(const char *text, double *out) {
    return scan_real((scan_span){text, strlen(text)}, out);
}

static void expect_equal(const char *text) {
    double found = 0;
    const double expected = strtod(text, NULL);
    cr_assert(real(text, &found), "%s", text);
    cr_assert_eq(memcmp(&found, &expected, sizeof found), 0, "%s: %a, strtod says %a", text, found,
                 expected);
}

Test(scan, numbers_are_those_of_strtod) {
    static const char *const texts[] = {"0",
                                        "-0",
                                        "0.0",
                                        "-0.000",
                                        "1",
                                        "-1.5",
                                        "123.456",
                                        "0.1",
                                        ".5",
                                        "5.",
                                        "-.25",
                                        "999999999999999",
                                        "+7.5",
                                        "1e3",
                                        "-2.5E-7",
                                        "0x1p-3",
                                        "1234567.8901",
                                        "0.000000000000001",
                                        "inf",
                                        "-inf",
                                        "1234567890123456789.25"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) expect_equal(texts[i]);
    uint64_t state = 1;
    for (int i = 0; i < 20000; i++) {
        char text[40];
        state = state * 6364136223846793005u + 1442695040888963407u;
        snprintf(text, sizeof text, "%.*f", (int)(state % 9), ((double)(state >> 20) - 8e12) / 3e6);
        expect_equal(text);
    }
}

Test(scan, what_is_no_number_is_refused) {
    static const char *const texts[] = {"", "-", ".", "-.", "1.2.3", "1-", "--1", "1,5", "x", "1x"};
    double found;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert_not(real(texts[i], &found), "'%s'", texts[i]);
}
