/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_MESSAGES_H
#define CMD_RKT_API_MESSAGES_H

/* Parts of answers that several methods have. */

#include <stddef.h>
#include <stdint.h>

struct error;
struct name_values;
struct strbuf;

/* What an answer may be: a client takes 4 MiB unless it says otherwise. */
#define ANSWER_MAX (32UL << 20)

/* -EFBIG, and what to do, if OUT is too large. */
int check_answer(const struct strbuf *out, struct error *err);

/* KeyValue fields NUMBER. */
void add_pairs(struct strbuf *out, uint32_t number,
	       const struct name_values *pairs);
/* ID (NULL: none) as rkt shows it into TEXT. */
#define SHOWN_ID_SIZE 72
void show_id(const char *id, char text[SHOWN_ID_SIZE]);

/* An Image; members may be NULL or 0. */
struct image_message {
	const char *id, *name;
	const struct name_values *labels, *annotations;
	int64_t imported_ns;
	uint64_t size;
	const char *manifest;
	size_t manifest_len;
};

void add_image(struct strbuf *out, uint32_t number,
	       const struct image_message *image);

#endif
