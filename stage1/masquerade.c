/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/masquerade.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define CHAIN "postrouting"
#define LOOPBACK_CHAIN "output"
#define PRIORITY_SRCNAT 100 /* NF_IP_PRI_NAT_SRC */
/* Just before NF_IP_PRI_NAT_DST, where portmap's rules are. */
#define PRIORITY_BEFORE_DSTNAT (-101)
#define IP_SADDR_OFFSET 12 /* RFC 791 */
#define IP_DADDR_OFFSET 16
#define IP6_DADDR_OFFSET 24 /* RFC 8200 */
#define DPORT_OFFSET 2	    /* of TCP and of UDP */
/* What fits into a batch with a new table. */
#define LOOPBACK_RULES_MAX 6
#define MULTICAST 0xe0000000U /* 224.0.0.0/4 */
#define MULTICAST_MASK 0xf0000000U

/* --- building messages ----------------------------------------------------
 */

struct batch {
	_Alignas(struct nlmsghdr) unsigned char buf[4096];
	size_t len;
	struct nlmsghdr *msg; /* being built */
	uint8_t family;
	uint32_t seq;
};

static void *put(struct batch *b, const void *data, size_t size)
{
	unsigned char *at = b->buf + b->len;
	size_t padded = NLMSG_ALIGN(size);

	assert(b->len + padded <= sizeof(b->buf));
	memset(at, 0, padded);
	if (data)
		memcpy(at, data, size);
	b->len += padded;
	return at;
}

static void msg_begin(struct batch *b, uint16_t type, uint16_t flags,
		      uint8_t family, uint16_t res_id)
{
	struct nfgenmsg gen = {
		.nfgen_family = family,
		.version = NFNETLINK_V0,
		.res_id = htons(res_id),
	};

	b->msg = put(b, NULL, sizeof(*b->msg));
	b->msg->nlmsg_type = type;
	b->msg->nlmsg_flags = NLM_F_REQUEST | flags;
	b->msg->nlmsg_seq = b->seq++;
	(void)put(b, &gen, sizeof(gen));
}

static void msg_end(struct batch *b)
{
	b->msg->nlmsg_len =
		(uint32_t)(b->buf + b->len - (unsigned char *)b->msg);
}

static void nft_begin(struct batch *b, uint16_t type, uint16_t flags)
{
	msg_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags,
		  b->family, 0);
}

static void attr(struct batch *b, uint16_t type, const void *data, size_t size)
{
	struct nlattr head = {
		.nla_len = (uint16_t)(NLA_HDRLEN + size),
		.nla_type = type,
	};

	(void)put(b, &head, sizeof(head));
	(void)put(b, data, size);
}

static void attr_str(struct batch *b, uint16_t type, const char *s)
{
	attr(b, type, s, strlen(s) + 1);
}

static void attr_u32(struct batch *b, uint16_t type, uint32_t value)
{
	value = htonl(value);
	attr(b, type, &value, sizeof(value));
}

static struct nlattr *nest_begin(struct batch *b, uint16_t type)
{
	struct nlattr head = {.nla_type = type | NLA_F_NESTED};

	return put(b, &head, sizeof(head));
}

static void nest_end(struct batch *b, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)(b->buf + b->len - (unsigned char *)nest);
}

/* --- expressions -----------------------------------------------------------
 */

struct expr {
	struct nlattr *elem, *data;
};

static struct expr expr_begin(struct batch *b, const char *name)
{
	struct expr e;

	e.elem = nest_begin(b, NFTA_LIST_ELEM);
	attr_str(b, NFTA_EXPR_NAME, name);
	e.data = nest_begin(b, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct batch *b, struct expr e)
{
	nest_end(b, e.data);
	nest_end(b, e.elem);
}

static void value_u32(struct batch *b, uint16_t type, uint32_t value)
{
	struct nlattr *nest = nest_begin(b, type);

	attr_u32(b, NFTA_DATA_VALUE, value);
	nest_end(b, nest);
}

static void load_payload(struct batch *b, uint32_t base, uint32_t offset,
			 uint32_t len)
{
	struct expr e = expr_begin(b, "payload");

	attr_u32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	attr_u32(b, NFTA_PAYLOAD_BASE, base);
	attr_u32(b, NFTA_PAYLOAD_OFFSET, offset);
	attr_u32(b, NFTA_PAYLOAD_LEN, len);
	expr_end(b, e);
}

/* Goes on if what is loaded is VALUE. */
static void match_bytes(struct batch *b, const void *value, size_t size)
{
	struct expr e = expr_begin(b, "cmp");
	struct nlattr *nest;

	attr_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	attr_u32(b, NFTA_CMP_OP, NFT_CMP_EQ);
	nest = nest_begin(b, NFTA_CMP_DATA);
	attr(b, NFTA_DATA_VALUE, value, size);
	nest_end(b, nest);
	expr_end(b, e);
}

/* Goes on if (address at OFFSET & MASK) OP VALUE. */
static void match_address(struct batch *b, uint32_t offset, uint32_t mask,
			  enum nft_cmp_ops op, uint32_t value)
{
	struct expr e;

	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, offset, 4);
	e = expr_begin(b, "bitwise");
	attr_u32(b, NFTA_BITWISE_SREG, NFT_REG_1);
	attr_u32(b, NFTA_BITWISE_DREG, NFT_REG_1);
	attr_u32(b, NFTA_BITWISE_LEN, 4);
	value_u32(b, NFTA_BITWISE_MASK, mask);
	value_u32(b, NFTA_BITWISE_XOR, 0);
	expr_end(b, e);
	e = expr_begin(b, "cmp");
	attr_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	attr_u32(b, NFTA_CMP_OP, op);
	value_u32(b, NFTA_CMP_DATA, value);
	expr_end(b, e);
}

/* --- messages --------------------------------------------------------------
 */

static void put_table(struct batch *b, uint16_t type, uint16_t flags,
		      const char *table)
{
	nft_begin(b, type, flags);
	attr_str(b, NFTA_TABLE_NAME, table);
	msg_end(b);
}

static void put_chain(struct batch *b, const char *table, const char *chain,
		      uint32_t hooknum, int priority)
{
	struct nlattr *hook;

	nft_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	attr_str(b, NFTA_CHAIN_TABLE, table);
	attr_str(b, NFTA_CHAIN_NAME, chain);
	hook = nest_begin(b, NFTA_CHAIN_HOOK);
	attr_u32(b, NFTA_HOOK_HOOKNUM, hooknum);
	attr_u32(b, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	nest_end(b, hook);
	attr_str(b, NFTA_CHAIN_TYPE, "nat");
	msg_end(b);
}

static void put_rule(struct batch *b, const char *table, uint32_t subnet,
		     uint32_t mask)
{
	struct nlattr *list;

	nft_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	attr_str(b, NFTA_RULE_TABLE, table);
	attr_str(b, NFTA_RULE_CHAIN, CHAIN);
	list = nest_begin(b, NFTA_RULE_EXPRESSIONS);
	match_address(b, IP_SADDR_OFFSET, mask, NFT_CMP_EQ, subnet & mask);
	match_address(b, IP_DADDR_OFFSET, mask, NFT_CMP_NEQ, subnet & mask);
	match_address(b, IP_DADDR_OFFSET, MULTICAST_MASK, NFT_CMP_NEQ,
		      MULTICAST);
	expr_end(b, expr_begin(b, "masq"));
	nest_end(b, list);
	msg_end(b);
}

static void put_loopback_rule(struct batch *b, const char *table,
			      const struct loopback_port *port)
{
	uint8_t protocol = port->udp ? IPPROTO_UDP : IPPROTO_TCP;
	uint16_t number = htons(port->port);
	struct nlattr *list;
	struct expr e;

	nft_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	attr_str(b, NFTA_RULE_TABLE, table);
	attr_str(b, NFTA_RULE_CHAIN, LOOPBACK_CHAIN);
	list = nest_begin(b, NFTA_RULE_EXPRESSIONS);
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, IP6_DADDR_OFFSET,
		     sizeof(in6addr_loopback));
	match_bytes(b, &in6addr_loopback, sizeof(in6addr_loopback));
	e = expr_begin(b, "meta");
	attr_u32(b, NFTA_META_DREG, NFT_REG_1);
	attr_u32(b, NFTA_META_KEY, NFT_META_L4PROTO);
	expr_end(b, e);
	match_bytes(b, &protocol, sizeof(protocol));
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, DPORT_OFFSET,
		     sizeof(number));
	match_bytes(b, &number, sizeof(number));
	/* To ::1 itself: what is translated is not translated again. */
	expr_end(b, expr_begin(b, "redir"));
	nest_end(b, list);
	msg_end(b);
}

static void batch_begin(struct batch *b, uint8_t family)
{
	b->len = 0;
	b->family = family;
	b->seq = 1;
	msg_begin(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	msg_end(b);
}

/* The kernel acknowledges the end of a batch only for its messages. */
static void batch_end(struct batch *b)
{
	msg_begin(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	msg_end(b);
}

/* The first error of what has come back; a 0 is an acknowledgement. */
static int first_error(const unsigned char *buf, size_t len)
{
	int r = 0;

	for (const struct nlmsghdr *h = (const void *)buf; NLMSG_OK(h, len);
	     h = NLMSG_NEXT(h, len)) {
		const struct nlmsgerr *e = NLMSG_DATA(h);

		if (h->nlmsg_type != NLMSG_ERROR ||
		    h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
			continue;
		if (r == 0)
			r = e->error;
	}
	return r;
}

/* One transaction: all of it or nothing.  Its answer is there when send()
 * returns. */
static int batch_send(const struct batch *b)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	_Alignas(struct nlmsghdr) unsigned char answer[8192];
	cleanup_fd int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (sendto(fd, b->buf, b->len, 0, (const struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	while (r == 0) {
		ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		r = first_error(answer, (size_t)n);
	}
	return r;
}

bool masquerade_available(void)
{
	struct batch b = {.seq = 1};

	/* Asking for the generation changes nothing and waits for nothing. */
	nft_begin(&b, NFT_MSG_GETGEN, NLM_F_ACK);
	msg_end(&b);
	return batch_send(&b) == 0;
}

static void table_name(char *buf, size_t size, const char *uuid)
{
	(void)snprintf(buf, size, "rkt-%s", uuid);
}

static int remove_table(uint8_t family, const char *uuid, struct error *err)
{
	struct batch b;
	char table[64];
	int r;

	table_name(table, sizeof(table), uuid);
	batch_begin(&b, family);
	put_table(&b, NFT_MSG_DELTABLE, 0, table);
	batch_end(&b);
	r = batch_send(&b);
	/* No such table, or no nf_tables in this kernel at all. */
	if (r == 0 || r == -ENOENT || r == -EPROTONOSUPPORT || r == -EINVAL ||
	    r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
		return 0;
	return error_sys(err, -r, "remove nf_tables table %s", table);
}

/* In place of one that is there. */
static void put_new_table(struct batch *b, const char *table)
{
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, table);
	put_table(b, NFT_MSG_DELTABLE, 0, table);
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table);
}

int masquerade_add(const char *uuid, uint32_t subnet, unsigned int bits,
		   struct error *err)
{
	uint32_t mask = bits ? ~0U << (32 - bits) : 0;
	struct batch b;
	char table[64];
	int r;

	table_name(table, sizeof(table), uuid);
	batch_begin(&b, NFPROTO_IPV4);
	put_new_table(&b, table);
	put_chain(&b, table, CHAIN, NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
	put_rule(&b, table, subnet, mask);
	batch_end(&b);
	r = batch_send(&b);
	return r < 0 ? error_sys(err, -r, "add nf_tables table %s", table) : 0;
}

int masquerade_remove(const char *uuid, struct error *err)
{
	return remove_table(NFPROTO_IPV4, uuid, err);
}

int loopback_spare_add(const char *uuid, const struct loopback_port *ports,
		       size_t n, struct error *err)
{
	char table[64];
	int r = 0;

	table_name(table, sizeof(table), uuid);
	for (size_t i = 0; r == 0 && i < n;) {
		struct batch b;

		batch_begin(&b, NFPROTO_IPV6);
		if (i == 0) {
			put_new_table(&b, table);
			put_chain(&b, table, LOOPBACK_CHAIN, NF_INET_LOCAL_OUT,
				  PRIORITY_BEFORE_DSTNAT);
		}
		for (int k = 0; k < LOOPBACK_RULES_MAX && i < n; k++, i++)
			put_loopback_rule(&b, table, &ports[i]);
		batch_end(&b);
		r = batch_send(&b);
	}
	return r < 0 ? error_sys(err, -r, "add nf_tables table %s for ::1",
				 table)
		     : 0;
}

int loopback_spare_remove(const char *uuid, struct error *err)
{
	return remove_table(NFPROTO_IPV6, uuid, err);
}
