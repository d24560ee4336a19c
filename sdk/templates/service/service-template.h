/*
 * service-template.h: the service example.service-template/1, which counts words. It is all that those need who use it;
 * give it to them. C, so that plugins in any language can share it.
 */
#ifndef SERVICE_TEMPLATE_H
#define SERVICE_TEMPLATE_H

#include <matrixos/abi/service.h>

MOS_BEGIN_C

#define SERVICE_TEMPLATE_1 "example.service-template/1"
#define SERVICE_TEMPLATE_1_MINOR 0

/*
 * The table. What is here never changes: later functions go to its end, with a higher minor; anything else is
 * example.service-template/2.
 */
typedef struct service_template_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /*
   * Counts the words of a text: {"words": of it, "total": of all texts so far}.
   * Fails: MOS_INVALID_ARGUMENT (reason NO_WORDS) for a text without any.
   */
  mos_status (*count)(void *self, const mos_call *call, mos_str text, mos_buf *out_json, mos_error *error);
} service_template_v1;

/*
 * The same for the host, which makes proxies of it: number of parameters between self and error, table, function,
 * their letters, what the function does (it blocks: it may take its time), since which minor, their types. See
 * matrixos/abi/service.h.
 */
#define SERVICE_TEMPLATE_1_FUNCTIONS(F)                                                                                \
  F(3, service_template_v1, count, "csb", MOS_FUNCTION_BLOCKS, 0, (const mos_call *, mos_str, mos_buf *))

MOS_END_C

#endif
