"""Checks an OpenAPI document, and recorded exchanges against it.

Arguments: a file with the document, and one with a list of exchanges, each an object with `method`, `route`
(the path of the document), `path` (as it was asked), `sent` (the body or null), `status`, `media_type` and
`body`. Prints what is wrong, a line for each, and then fails.

An answer has to have every member that its shape demands, and no member that its shape does not know. Clients
are told nothing of the latter, so that the server may add members; the document has to be complete all the same.
"""

import copy
import json
import sys
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from openapi_spec_validator import validate


def strict(schema):
    """The same schema without room for members that it does not name."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(part) for key, part in schema.items()}
    if "properties" in made and isinstance(made.get("required", []), list):
        made.setdefault("additionalProperties", False)
    return made


class Document:
    def __init__(self, document):
        self.document = document
        self.strict = copy.deepcopy(document)
        self.strict["components"]["schemas"] = strict(document["components"]["schemas"])

    def resolve(self, value):
        while "$ref" in value:
            found = self.document
            for key in value["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            value = found
        return value

    def faults(self, schema, value, exactly):
        document = self.strict if exactly else self.document
        schema = strict(schema) if exactly else schema
        whole = {**schema, "components": document["components"]}
        checker = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        return [f"at {error.json_path}: {error.message[:300]}" for error in checker.iter_errors(value)]


def check(document, exchange):
    operation = document.document["paths"][exchange["route"]][exchange["method"].lower()]
    described = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    for name, _ in parse_qsl(urlsplit(exchange["path"]).query):
        if name not in described:
            yield f"the query's {name} is not described"
    response = operation["responses"].get(str(exchange["status"]))
    if response is None:
        yield f"status {exchange['status']} is not described"
        return
    content = document.resolve(response).get("content", {})
    media_type = exchange["media_type"].split(";")[0]
    if not content:
        if media_type or exchange["body"] is not None:
            yield f"{media_type or 'a body'} instead of no body"
        return
    if media_type not in content:
        yield f"{media_type or 'no media type'} instead of {list(content)}"
        return
    if media_type == "application/json":
        yield from document.faults(content[media_type]["schema"], exchange["body"], exactly=True)
    if "requestBody" in operation and exchange["status"] < 300:
        taken = operation["requestBody"]["content"]["application/json"]["schema"]
        for fault in document.faults(taken, exchange["sent"], exactly=True):
            yield f"the example's own body: {fault}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = Document(json.load(file))
    with open(sys.argv[2], encoding="utf-8") as file:
        exchanges = json.load(file)
    validate(document.document)
    for name, schema in document.document["components"]["schemas"].items():
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    wrong = 0
    for exchange in exchanges:
        for fault in check(document, exchange):
            print(f"{exchange['method']} {exchange['path']} ({exchange['status']}): {fault}")
            wrong += 1
    print(f"{len(exchanges)} exchanges, {wrong} faults")
    sys.exit(1 if wrong or not exchanges else 0)


main()
