"""The reference of the REST interface as one HTML page, which loads nothing from elsewhere."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

Document = dict[str, Any]
_UNTOLD = "Successful Response"


def reference_html(document: Document) -> str:
    """All routes of an OpenAPI document by tag, with parameters, an example body and responses."""
    about = document["info"]
    groups = "".join(_group(document, tag) for tag in document["tags"])
    links = "".join(f'<a href="#{escape(tag["name"])}">{escape(tag["name"])}</a>' for tag in document["tags"])
    links += '<a href="#errors">errors</a>'
    words = "".join(f"<p>{_words(part)}</p>" for part in about["description"].strip().split("\n\n"))
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>REST · {escape(about['title'])}</title>"
        '<link rel="icon" href="/page/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="/page/page.css"><link rel="stylesheet" href="/page/reference.css"></head>\n'
        '<body class="reference"><header class="top"><h1>twotime</h1>'
        f'<span class="tagline">REST interface, version {escape(about["version"])}</span></header>'
        f'<nav aria-label="Groups of routes">{links}<a href="/openapi.json">openapi.json</a><a href="/">page</a></nav>'
        f"<main>{words}{groups}{_errors(document)}</main></body>\n</html>\n"
    )


def _group(document: Document, tag: Document) -> str:
    routes = "".join(
        _route(document, method, path, route)
        for path, methods in document["paths"].items()
        for method, route in methods.items()
        if tag["name"] in route.get("tags", [])
    )
    name = escape(tag["name"])
    head = f'<h2 id="{name}">{name}</h2><p>{_words(tag["description"])}</p>'
    return f'<section aria-labelledby="{name}">{head}{routes}</section>'


def _route(document: Document, method: str, path: str, route: Document) -> str:
    words = [part for part in route.get("description", "").strip().split("\n\n") if part]
    more = "".join(f"<p>{_words(part)}</p>" for part in words[1:])
    return (
        f'<details id="{escape(route["operationId"])}"><summary><b class="{method}">{method.upper()}</b>'
        f"<code>{escape(path).replace('{', '<i>{').replace('}', '}</i>')}</code>"
        f"<span>{_words(words[0]) if words else escape(route['summary'])}</span></summary>"
        f"{more}{_parameters(document, route)}{_body(document, route)}{_answers(document, route)}</details>"
    )


def _parameters(document: Document, route: Document) -> str:
    rows = [
        (
            f"<code>{escape(one['name'])}</code>",
            one["in"] + (", needed" if one.get("required") else ""),
            escape(_kind(document, one["schema"])),
            _words(one.get("description", "")),
        )
        for one in route.get("parameters", [])
    ]
    return _table(("parameter", "where", "value", ""), rows) if rows else ""


def _body(document: Document, route: Document) -> str:
    content = route.get("requestBody", {}).get("content", {})
    return "".join(
        f"<h3>Body, {escape(media)}</h3>{_example(document, one.get('schema', {}))}" for media, one in content.items()
    )


def _answers(document: Document, route: Document) -> str:
    good = {status: answer for status, answer in route["responses"].items() if status < "400"}
    rows = [
        (status, escape(", ".join(answer.get("content", {}))), _words(answer["description"].replace(_UNTOLD, "")))
        for status, answer in sorted(good.items())
    ]
    examples = [
        _example(document, one.get("schema", {}), one.get("example"))
        for answer in good.values()
        for one in answer.get("content", {}).values()
    ]
    bad = ", ".join(sorted(set(route["responses"]) - set(good)))
    more = f'<p>Errors: <a href="#errors">{bad}</a></p>' if bad else ""
    return _table(("answer", "as", ""), rows) + "".join(dict.fromkeys(examples)) + more


def _errors(document: Document) -> str:
    """Error responses; listed once, because they are the same for every route."""
    found = {
        status: answer["description"]
        for methods in document["paths"].values()
        for route in methods.values()
        for status, answer in route["responses"].items()
        if status >= "400"
    }
    rows = [(status, _words(words)) for status, words in sorted(found.items())]
    example = _example(document, {"$ref": "#/components/schemas/Problem"})
    head = '<h2 id="errors">errors</h2><p>Problem documents, <code>application/problem+json</code>.</p>'
    return f'<section aria-labelledby="errors">{head}{_table(("answer", ""), rows)}{example}</section>'


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _example(document: Document, schema: Document, own: Any = None) -> str:
    found = own if own is not None else _example_of(document, schema)
    if found is None:
        return ""
    text = found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def _example_of(document: Document, schema: Document) -> Any:
    known = _resolved(document, schema)
    return next(iter(known.get("examples", [])), known.get("example"))


def _kind(document: Document, schema: Document) -> str:
    """The type of a value, in words."""
    known = _resolved(document, schema)
    if "anyOf" in known:
        return " or ".join(_kind(document, one) for one in known["anyOf"] if one.get("type") != "null")
    if "enum" in known:
        return ", ".join(map(str, known["enum"]))
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [str(known.get("const", known.get("type", "any")))]
    said += [f"{sign} {known[name]}" for name, sign in limits.items() if name in known]
    if schema.get("default") is not None:
        said.append(f"else {schema['default']}")
    return ", ".join(said)


def _resolved(document: Document, schema: Document) -> Document:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    found: Document = document["components"]["schemas"][name] if name else schema
    return found


def _words(text: str) -> str:
    """Text with parts in backticks as code."""
    parts = escape(" ".join(text.split())).replace("``", "`").split("`")
    return "".join(f"<code>{part}</code>" if k % 2 else part for k, part in enumerate(parts))
