"""A client that knows no message of the server's, learns them from it, and makes a call with them."""

import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

address, *trusted = sys.argv[1:]
if trusted:
    with open(trusted[0], "rb") as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))
else:
    channel = grpc.insecure_channel(address)
learnt = ProtoReflectionDescriptorDatabase(channel)
services = set(learnt.get_services())
assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= services, services
pool = descriptor_pool.DescriptorPool(learnt)


def ask(service, method, **fields):
    call = pool.FindServiceByName(service).FindMethodByName(method)
    request = message_factory.GetMessageClass(call.input_type)(**fields)
    answer = message_factory.GetMessageClass(call.output_type)
    unary = channel.unary_unary(
        f"/{service}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return unary(request, timeout=30)


assert ask("inference.GRPCInferenceService", "ServerMetadata").name == "belljar"
assert ask("inference.GRPCInferenceService", "ModelReady", name="echo").ready
assert ask("grpc.health.v1.Health", "Check").status == 1
for service in services:
    for method in pool.FindServiceByName(service).methods:
        assert method.input_type.full_name and method.output_type.full_name
try:
    pool.FindServiceByName("inference.Nobody")
except KeyError:
    pass
else:
    raise AssertionError("there is no such service")
print("reflection:", ", ".join(sorted(services)))
