// The groups of end-to-end tests; daemon_test.c runs them all.
#ifndef XNORD_E2E_GROUPS_H
#define XNORD_E2E_GROUPS_H

void test_service(void);   // service.c: what the daemon is for, alone and crowded
void test_bad_input(void); // bad_input.c: requests that must be refused with a reason
void test_hostile(void);   // hostile.c: bytes that are no requests, clients that misbehave
void test_life(void);      // life.c: start, reload, health, stop
void test_segment(void);   // segment.c: labels of points
void test_image(void);     // image.c: what is made of images
void test_outputs(void);   // outputs.c: only some of what a model gives

#endif
