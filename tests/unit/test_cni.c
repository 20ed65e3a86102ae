/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/cni.h"
#include "spec/json_write.h"
#include "spec/net_info.h"

struct network_row {
	const char *text;
	const char *name;
	const char *version;
	size_t n;
	const char *last_type;
	bool ip_masq, ports; /* of any plugin */
};

static const struct network_row networks[] = {
	{"{\"name\":\"a\",\"type\":\"ptp\",\"ipMasq\":true}", "a", "0.1.0", 1,
	 "ptp", true, false},
	{"{\"cniVersion\":\"0.4.0\",\"name\":\"b\",\"plugins\":[{\"type\":"
	 "\"bridge\"},{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":"
	 "true}}]}",
	 "b", "0.4.0", 2, "portmap", false, true},
	{"{\"name\":\"a\"}", NULL, NULL, 0, NULL, false, false},
	{"{\"type\":\"ptp\"}", NULL, NULL, 0, NULL, false, false},
	{"{\"name\":\"../x\",\"type\":\"ptp\"}", NULL, NULL, 0, NULL, false,
	 false},
	{"{\"name\":\"a\",\"type\":\"../../bin/sh\"}", NULL, NULL, 0, NULL,
	 false, false},
	{"{\"name\":\"a\",\"plugins\":[]}", NULL, NULL, 0, NULL, false, false},
	{"{\"name\":\"a\",\"plugins\":{}}", NULL, NULL, 0, NULL, false, false},
	{"{\"name\":\"a\",\"plugins\":[3]}", NULL, NULL, 0, NULL, false, false},
	{"{\"name\":7,\"type\":\"ptp\"}", NULL, NULL, 0, NULL, false, false},
	{"[]", NULL, NULL, 0, NULL, false, false},
	{"{", NULL, NULL, 0, NULL, false, false},
	{"", NULL, NULL, 0, NULL, false, false},
};

Test(cni, networks)
{
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		const struct network_row *row = &networks[i];
		struct cni_network net;
		struct error err = ERROR_INIT;
		bool ip_masq = false, ports = false;
		int r = cni_network_parse(row->text, strlen(row->text), &net,
					  &err);

		if (!row->name) {
			cr_expect_eq(r, -EINVAL, "%s", row->text);
			cr_expect(*err.msg, "%s", row->text);
			continue;
		}
		cr_assert_eq(r, 0, "%s: %s", row->text, err.msg);
		cr_expect_str_eq(net.name, row->name);
		cr_expect_str_eq(net.version, row->version);
		cr_assert_eq(net.n, row->n);
		cr_expect_str_eq(net.plugins[net.n - 1].type, row->last_type);
		for (size_t k = 0; k < net.n; k++) {
			ip_masq |= net.plugins[k].ip_masq;
			ports |= net.plugins[k].port_mappings;
		}
		cr_expect_eq(ip_masq, row->ip_masq, "%s", row->text);
		cr_expect_eq(ports, row->ports, "%s", row->text);
		cni_network_release(&net);
	}
}

struct result_row {
	const char *text;
	int r;
	const char *address, *gateway, *nameserver;
};

static const struct result_row results[] = {
	{"{\"cniVersion\":\"0.1.0\",\"ip4\":{\"ip\":\"172.16.28.2/24\","
	 "\"gateway\":\"172.16.28.1\"},\"dns\":{\"nameservers\":[\"1.1.1.1\"]}"
	 "}",
	 0, "172.16.28.2/24", "172.16.28.1", "1.1.1.1"},
	{"{\"cniVersion\":\"0.2.0\",\"ip6\":{\"ip\":\"fd00::2/64\"},\"ip4\":{"
	 "\"ip\":\"10.0.0.2/8\"}}",
	 0, "10.0.0.2/8", NULL, NULL},
	{"{\"cniVersion\":\"0.4.0\",\"interfaces\":[],\"ips\":[{\"version\":"
	 "\"6\",\"address\":\"fd00::2/64\",\"gateway\":\"fd00::1\"},{"
	 "\"version\":\"4\",\"address\":\"10.1.0.2/16\",\"gateway\":"
	 "\"10.1.0.1\"}]}",
	 0, "10.1.0.2/16", "10.1.0.1", NULL},
	{"{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"fd00::2/64\"}]}", 0,
	 "fd00::2/64", NULL, NULL},
	{"{\"cniVersion\":\"1.0.0\"}", 0, NULL, NULL, NULL},
	{"{}", 0, NULL, NULL, NULL},
	{"{\"ip4\":{}}", -EINVAL, NULL, NULL, NULL},
	{"{\"ips\":[{\"address\":9}]}", -EINVAL, NULL, NULL, NULL},
	{"{\"ips\":{}}", -EINVAL, NULL, NULL, NULL},
	{"[]", -EINVAL, NULL, NULL, NULL},
	{"nonsense", -EINVAL, NULL, NULL, NULL},
	{"", -EINVAL, NULL, NULL, NULL},
};

static void expect_text(const char *is, const char *want, const char *row)
{
	cr_expect_str_eq(is ? is : "-", want ? want : "-", "%s: %s", row,
			 is ? is : "-");
}

Test(cni, results)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		const struct result_row *row = &results[i];
		struct cni_result result;
		struct error err = ERROR_INIT;
		int r = cni_result_parse(row->text, strlen(row->text), &result,
					 &err);

		cr_expect_eq(r, row->r, "%s: %s", row->text, err.msg);
		if (r < 0)
			continue;
		expect_text(result.address, row->address, row->text);
		expect_text(result.gateway, row->gateway, row->text);
		expect_text(result.dns.nameservers.n
				    ? result.dns.nameservers.v[0]
				    : NULL,
			    row->nameserver, row->text);
		cr_expect_eq(cni_dns_is_empty(&result.dns), !row->nameserver);
		cni_result_release(&result);
	}
}

Test(cni, errors)
{
	static const char *const rows[][2] = {
		{"{\"code\":1,\"msg\":\"no\",\"details\":\"why\"}", "no; why"},
		{"{\"code\":1,\"msg\":\"no\",\"details\":\"\"}", "no"},
		{"{\"code\":1,\"msg\":\"no\"}", "no"},
		{"panic", "netplugin failed but error parsing its diagnostic "
			  "message \"panic\": "},
		{"", "netplugin failed but error parsing its diagnostic "
		     "message \"\": "},
		{"{}", "netplugin failed but error parsing its diagnostic "
		       "message \"{}\": it has no msg"},
		{"{\"msg\":7}", "netplugin failed but error parsing its "
				"diagnostic message \"{\"msg\":7}\": "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_free char *text =
			cni_error_text(rows[i][0], strlen(rows[i][0]));

		cr_expect_eq(strncmp(text, rows[i][1], strlen(rows[i][1])), 0,
			     "%s: %s", rows[i][0], text);
	}
}

Test(cni, addresses)
{
	static const char *const rows[][3] = {
		{"172.16.28.2/24", "172.16.28.2", "255.255.255.0"},
		{"10.0.0.1/32", "10.0.0.1", "255.255.255.255"},
		{"10.0.0.1/0", "10.0.0.1", "0.0.0.0"},
		{"10.0.0.1/13", "10.0.0.1", "255.248.0.0"},
		{"10.0.0.1/33", "10.0.0.1", NULL},
		{"10.0.0.1", "10.0.0.1", NULL},
		{"fd00::1/64", "fd00::1", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_free char *ip = NULL;
		cleanup_free char *mask = NULL;

		cni_address_split(rows[i][0], &ip, &mask);
		expect_text(ip, rows[i][1], rows[i][0]);
		expect_text(mask, rows[i][2], rows[i][0]);
	}
}

Test(cni, plugin_input)
{
	const struct cni_port_mapping port = {
		.host_port = 8080,
		.container_port = 80,
		.protocol = "tcp",
	};
	const struct cni_stdin in = {
		.name = "n",
		.version = "0.4.0",
		.prev_result = "{\"ips\":[]}",
		.ports = &port,
		.n_ports = 1,
		.no_masq = true,
	};
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;

	cr_assert_eq(cni_stdin_make("{\"type\":\"x\",\"ipMasq\":true,\"name\":"
				    "\"old\",\"mtu\":9,\"runtimeConfig\":{}}",
				    &in, &sb, NULL),
		     0);
	cr_expect_str_eq(sb.buf,
			 "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":"
			 "\"x\",\"mtu\":9,\"ipMasq\":false,\"runtimeConfig\":{"
			 "\"portMappings\":[{\"hostPort\":8080,"
			 "\"containerPort\":80,\"protocol\":\"tcp\"}]},"
			 "\"prevResult\":{\"ips\":[]}}",
			 "%s", sb.buf);
	cr_expect(cni_version_has_chains("0.3.0"));
	cr_expect(cni_version_has_chains("1.0.0"));
	cr_expect_not(cni_version_has_chains("0.2.0"));
}

Test(cni, old_result_for_a_chain)
{
	static const char text[] =
		"{\"ip4\":{\"ip\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\"}}";
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	struct cni_result result, again;

	cr_assert_eq(cni_result_parse(text, strlen(text), &result, NULL), 0);
	cni_result_upgrade(&result, "eth0", "/run/netns/x", &sb);
	cr_assert_eq(cni_result_parse(sb.buf, sb.len, &again, NULL), 0);
	cr_expect_str_eq(again.address, "10.0.0.2/24");
	cr_expect_str_eq(again.gateway, "10.0.0.1");
	cni_result_release(&result);
	cni_result_release(&again);
}

Test(net_info, written_and_read)
{
	cleanup_net_info struct net_info_list list = NET_INFO_LIST_INIT;
	cleanup_net_info struct net_info_list again = NET_INFO_LIST_INIT;
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	struct net_info *info = net_info_add(&list);
	struct json_writer w;

	info->net_name = strdup("default");
	info->ip = strdup("172.16.28.2");
	json_writer_init(&w, &sb, JSON_COMPACT_STYLE);
	net_info_write(&list, NULL, &w);
	cr_expect_str_eq(sb.buf,
			 "[{\"netName\":\"default\",\"netConf\":\"\","
			 "\"pluginPath\":\"\",\"ifName\":\"\",\"ip\":"
			 "\"172.16.28.2\",\"args\":\"\",\"mask\":\"\"}]",
			 "%s", sb.buf);
	cr_assert_eq(net_info_parse(sb.buf, sb.len, &again, NULL), 0);
	cr_assert_eq(again.n, 1);
	cr_expect_str_eq(again.v[0].ip, "172.16.28.2");
	cr_expect_str_eq(again.v[0].mask, "");
	net_info_release(&again);
	cr_expect_eq(net_info_parse("null", 4, &again, NULL), 0);
	cr_expect_eq(again.n, 0);
	cr_expect_eq(net_info_parse("{}", 2, &again, NULL), -EINVAL);
	cr_expect_eq(net_info_parse("[1]", 3, &again, NULL), -EINVAL);
}
