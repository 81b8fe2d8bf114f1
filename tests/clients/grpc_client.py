"""A gRPC client that a test drives: one JSON command a line in, one JSON answer a line out.

It is Google's own client (`grpcio`) with the messages of this repository's `.proto` files, compiled as
any user would. It needs the packages of `requirements.txt`.

    grpc_client.py PROTO_FOLDER HOST:PORT
"""

import json
import queue
import sys
import tempfile
import threading
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc


def compile_protos(folder):
    """Every message of the folder, in a pool of its own."""
    files = [str(file.relative_to(folder)) for file in sorted(Path(folder).rglob("*.proto"))]
    with tempfile.TemporaryDirectory() as temp:
        out = f"{temp}/all.bin"
        assert protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={out}", *files]) == 0
        compiled = descriptor_pb2.FileDescriptorSet.FromString(Path(out).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in compiled.file:
        pool.Add(file)
    return pool


class Client:
    def __init__(self, folder, address):
        self.pool = compile_protos(folder)
        self.address = address
        self.channel = grpc.insecure_channel(address)
        # A connection of its own whose windows stay as small as they begin, for streams that nobody reads.
        small = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
        self.lazy_channel = grpc.insecure_channel(address, options=small)
        self.streams = {}

    def method(self, command):
        """The call, its request, and the options that a command asks for."""
        service, name = command["method"].split("/")
        described = self.pool.FindServiceByName(service).FindMethodByName(name)
        request = message_factory.GetMessageClass(described.input_type)()
        json_format.ParseDict(command.get("message", {}), request)
        answer = message_factory.GetMessageClass(described.output_type)
        channel = self.lazy_channel if command.get("lazy") else self.channel
        kind = channel.unary_stream if described.server_streaming else channel.unary_unary
        call = kind(
            "/" + command["method"],
            request_serializer=lambda message: command.get("raw", "").encode() or message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        metadata = [("x-device", command["device"])] if "device" in command else []
        if "token" in command:
            metadata.append(("authorization", f"Bearer {command['token']}"))
        options = {"metadata": metadata, "timeout": command.get("timeout", 60)}
        if command.get("gzip"):
            options["compression"] = grpc.Compression.Gzip
        return call, request, options

    def call(self, command):
        call, request, options = self.method(command)
        message, done = call.with_call(request, **options)
        return {"code": done.code().name, "message": as_json(message)}

    def open(self, command):
        """Opens a stream. It is read on a thread, so that the next command can cause something; a lazy
        one is not read before it is told to be."""
        call, request, options = self.method(command)
        stream, heard = call(request, **options), queue.Queue()
        self.streams[command["stream"]] = (stream, heard)
        if not command.get("lazy"):
            self.read(command)
            stream.initial_metadata()
        return {"code": "OK"}

    def read(self, command):
        stream, heard = self.streams[command["stream"]]

        def read():
            try:
                for message in stream:
                    heard.put({"code": "OK", "message": as_json(message)})
                heard.put({"code": stream.code().name, "end": True})
            except grpc.RpcError as error:
                heard.put({**refusal(error), "end": True})

        threading.Thread(target=read, daemon=True).start()
        return {"code": "OK"}

    def next(self, command):
        return self.streams[command["stream"]][1].get(timeout=60)

    def cancel(self, command):
        self.streams[command["stream"]][0].cancel()
        return {"code": "OK"}

    def health(self, command):
        stub = health_pb2_grpc.HealthStub(self.channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=command.get("service", "")), timeout=60)
        return {"code": "OK", "status": health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}

    def reflect(self, _):
        """What a tool without `.proto` files learns."""
        database = ProtoReflectionDescriptorDatabase(self.channel)
        described = descriptor_pool.DescriptorPool(database)
        services = {
            name: [method.name for method in described.FindServiceByName(name).methods]
            for name in database.get_services()
        }
        return {"code": "OK", "services": services}


def as_json(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def refusal(error):
    return {"code": error.code().name, "details": error.details()}


def main():
    client = Client(*sys.argv[1:])
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(client, command["do"])(command)
        except grpc.RpcError as error:
            answer = refusal(error)
        print(json.dumps(answer), flush=True)


main()
