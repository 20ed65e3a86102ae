#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""api.py PROTO_DIR ADDRESS METHOD [REQUEST-JSON] [--first=N] [--ready=FILE]

A client of rkt api-service: gRPC's own library, messages by protoc from
spec/api/v1alpha/api.proto.  Prints each answer as a line of JSON; a status
that is not OK as "STATUS: TEXT", exit code 1.  --first ends after N answers of
a stream, --ready makes FILE when the service has taken the call.
"""
import json
import sys

sys.path.insert(0, sys.argv[1])
import api_pb2  # noqa: E402
import grpc  # noqa: E402
from google.protobuf import json_format  # noqa: E402

STREAMS = ("ListenEvents", "GetLogs")


def printed(message):
    return json.dumps(json_format.MessageToDict(
        message, preserving_proto_field_name=True), sort_keys=True)


def main():
    words = [a for a in sys.argv[2:] if not a.startswith("--")]
    flags = dict(a[2:].split("=", 1) for a in sys.argv[2:] if a.startswith("--"))
    address, method = words[:2]
    request = json_format.Parse(words[2] if len(words) > 2 else "{}",
                                getattr(api_pb2, method + "Request")())
    channel = grpc.insecure_channel(address, options=[
        ("grpc.max_receive_message_length", -1),
        ("grpc.enable_http_proxy", 0)])
    make = (channel.unary_stream if method in STREAMS else channel.unary_unary)
    call = make("/v1alpha.PublicAPI/" + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=getattr(
                    api_pb2, method + "Response").FromString)
    timeout = float(flags.get("timeout", 60))
    try:
        if method not in STREAMS:
            print(printed(call(request, timeout=timeout)))
            return 0
        stream = call(request, timeout=timeout)
        stream.initial_metadata()
        if "ready" in flags:
            open(flags["ready"], "w", encoding="utf-8").close()
        left = int(flags.get("first", 0))
        for answer in stream:
            print(printed(answer), flush=True)
            left -= 1
            if left == 0:
                stream.cancel()
                break
        return 0
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
