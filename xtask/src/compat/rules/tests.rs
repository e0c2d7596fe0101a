//! Planted changes: each that breaks a promise is found, each that does not is let pass.

use serde_json::{Value, json};

use super::*;

fn item() -> Value {
    json!({
        "$ref": "#/$defs/Item",
        "$defs": {
            "Word": { "type": "string", "enum": ["one", "two"] },
            "Item": {
                "type": "object",
                "properties": {
                    "name": { "type": "string" },
                    "word": { "$ref": "#/$defs/Word" },
                    "size": { "type": ["integer", "null"], "minimum": 0, "maximum": 10 },
                    "maybe": { "anyOf": [{ "$ref": "#/$defs/Word" }, { "type": "null" }] },
                    "list": { "type": "array", "items": { "type": "string" } },
                    "map": { "type": "object", "additionalProperties": { "type": "integer" } },
                    "next": { "$ref": "#/$defs/Item" },
                    "at": { "type": "string", "format": "date-time" },
                },
                "required": ["name", "word"],
                "additionalProperties": false,
            },
        },
    })
}

/// The item with one thing changed, named by its path below the definitions.
fn with(path: &str, value: Value) -> Value {
    let mut changed = item();
    let place = changed.pointer_mut(&format!("/$defs/{path}")).unwrap();
    *place = value;
    changed
}

fn without(path: &str, name: &str) -> Value {
    let mut changed = item();
    let place = changed.pointer_mut(&format!("/$defs/{path}")).unwrap();
    place.as_object_mut().unwrap().remove(name);
    changed
}

fn plus(path: &str, name: &str, value: Value) -> Value {
    let mut changed = item();
    let place = changed.pointer_mut(&format!("/$defs/{path}")).unwrap();
    place.as_object_mut().unwrap().insert(name.to_owned(), value);
    changed
}

fn answer(new: &Value) -> Vec<String> {
    compare_answers(&item(), new).iter().map(Breach::to_string).collect()
}

fn request(new: &Value) -> Vec<String> {
    compare_requests(&item(), new).iter().map(Breach::to_string).collect()
}

#[test]
fn nothing_changed_is_nothing_broken() {
    assert_eq!(answer(&item()), [""; 0]);
    assert_eq!(request(&item()), [""; 0]);
}

#[test]
fn a_field_may_not_go() {
    let new = without("Item/properties", "size");
    assert_eq!(answer(&new), [".size: the field is gone"]);
    assert_eq!(request(&new), [".size: the field is no longer taken"]);
}

#[test]
fn a_field_may_come_unless_a_request_has_to_have_it() {
    let new = plus("Item/properties", "colour", json!({ "type": "string" }));
    assert_eq!(answer(&new), [""; 0]);
    assert_eq!(request(&new), [""; 0]);
    let mut new = new;
    new["$defs"]["Item"]["required"] = json!(["name", "word", "colour"]);
    assert_eq!(answer(&new), [""; 0]);
    assert_eq!(request(&new), [".colour: is required now"]);
}

#[test]
fn a_type_may_not_change() {
    let new = with("Item/properties/name", json!({ "type": "integer" }));
    assert_eq!(answer(&new), [".name: the type is integer instead of string"]);
    assert_eq!(request(&new), [".name: the type is integer instead of string"]);
    let new = with("Item/properties/list/items", json!({ "type": "integer" }));
    assert_eq!(answer(&new), [".list[]: the type is integer instead of string"]);
    let new = with("Item/properties/map/additionalProperties", json!({ "type": "string" }));
    assert_eq!(answer(&new), [".map{}: the type is string instead of integer"]);
}

#[test]
fn a_number_may_become_whole_in_an_answer_and_any_in_a_request() {
    let number = json!({ "type": ["number", "null"], "minimum": 0, "maximum": 10 });
    let new = with("Item/properties/size", number);
    assert_eq!(answer(&new), [".size: the type is number instead of integer"]);
    assert_eq!(request(&new), [""; 0]);
    assert_eq!(compare_answers(&new, &item()), []);
}

#[test]
fn an_answer_may_not_become_null_and_a_request_may_not_stop_to() {
    let new = with("Item/properties/name", json!({ "type": ["string", "null"] }));
    assert_eq!(answer(&new), [".name: may be null now"]);
    assert_eq!(request(&new), [""; 0]);
    let word = json!({ "anyOf": [{ "$ref": "#/$defs/Word" }, { "type": "null" }] });
    assert_eq!(answer(&with("Item/properties/word", word)), [".word: may be null now"]);
    let new = with("Item/properties/maybe", json!({ "$ref": "#/$defs/Word" }));
    assert_eq!(answer(&new), [""; 0]);
    assert_eq!(request(&new), [".maybe: may no longer be null"]);
}

#[test]
fn a_word_may_come_and_a_request_keeps_all() {
    let new = with("Word/enum", json!(["one", "two", "three"]));
    assert_eq!(answer(&new), [""; 0]);
    assert_eq!(request(&new), [""; 0]);
    let new = with("Word/enum", json!(["two"]));
    assert_eq!(answer(&new), [""; 0]);
    let gone = "no longer takes `one`";
    assert_eq!(request(&new), [format!(".maybe: {gone}"), format!(".word: {gone}")]);
    let new = with("Word/enum", json!(["three"]));
    assert_eq!(answer(&new), [".maybe: is three now", ".word: is three now"]);
    let new = without("Word", "enum");
    let open = "is no longer a list of words";
    assert_eq!(answer(&new), [format!(".maybe: {open}"), format!(".word: {open}")]);
    assert_eq!(request(&new), [""; 0]);
}

#[test]
fn what_is_there_in_an_answer_stays_there() {
    let new = with("Item/required", json!(["name"]));
    assert_eq!(answer(&new), [".word: may be left out now"]);
    assert_eq!(request(&new), [""; 0]);
}

#[test]
fn bounds_of_a_request_only_become_wider() {
    for (name, value) in [("maximum", 9), ("minimum", 1), ("maxLength", 3)] {
        let new = plus("Item/properties/size", name, json!(value));
        assert_eq!(request(&new), [format!(".size: has a tighter {name}")]);
        assert_eq!(answer(&new), [""; 0]);
    }
    assert_eq!(request(&plus("Item/properties/size", "maximum", json!(11))), [""; 0]);
    assert_eq!(request(&without("Item/properties/size", "minimum")), [""; 0]);
}

#[test]
fn formats_are_part_of_the_promise() {
    let new = without("Item/properties/at", "format");
    assert_eq!(answer(&new), [".at: has another format"]);
    assert_eq!(request(&new), [""; 0]);
    let new = plus("Item/properties/name", "pattern", json!("^a"));
    assert_eq!(answer(&new), [""; 0]);
    assert_eq!(request(&new), [".name: has another pattern"]);
}

#[test]
fn an_open_request_may_not_close() {
    let open = without("Item", "additionalProperties");
    let found = compare_requests(&open, &item());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].problem, "takes no unknown fields any more");
}

fn frames(delta: &Value) -> Value {
    let variant = |name: &str, schema: &str| {
        json!({
            "type": "object",
            "properties": { "type": { "type": "string", "const": name } },
            "$ref": format!("#/$defs/{schema}"),
            "required": ["type"],
        })
    };
    json!({
        "oneOf": [variant("snapshot", "Snapshot"), variant("delta", "Delta")],
        "$defs": {
            "Snapshot": {
                "type": "object",
                "properties": { "items": { "type": "array", "items": { "type": "string" } } },
                "required": ["items"],
            },
            "Delta": delta,
        },
    })
}

#[test]
fn tagged_variants_are_compared_by_their_tag_whatever_their_order() {
    let sequence = json!({
        "type": "object",
        "properties": { "sequence": { "type": "integer" } },
        "required": ["sequence"],
    });
    let old = frames(&sequence);
    let mut new = frames(&sequence);
    new["oneOf"].as_array_mut().unwrap().reverse();
    assert_eq!(compare_answers(&old, &new), []);
    let new = frames(&json!({ "type": "object", "properties": {}, "required": [] }));
    let found: Vec<_> = compare_answers(&old, &new).iter().map(Breach::to_string).collect();
    assert_eq!(
        found,
        ["<delta>.sequence: may be left out now", "<delta>.sequence: the field is gone"]
    );
    let mut new = old.clone();
    new["oneOf"].as_array_mut().unwrap().remove(0);
    let found = compare_answers(&old, &new);
    assert_eq!(found[0].to_string(), "<snapshot>: the variant is gone");
}

fn document() -> Value {
    let content = |schema: &str| json!({ "application/json": { "schema": { "$ref": schema } } });
    json!({
        "paths": { "/v1/things": { "post": {
            "parameters": [
                { "name": "limit", "in": "query", "schema": { "type": "integer" } },
                { "$ref": "#/components/parameters/Version" },
            ],
            "requestBody": { "required": true, "content": content("#/components/schemas/Ask") },
            "responses": {
                "201": { "content": content("#/components/schemas/Told") },
                "409": { "x-error-codes": ["E_A"] },
            },
        } } },
        "components": {
            "parameters": { "Version": { "name": "v", "in": "header", "schema": { "type": "string" } } },
            "schemas": {
                "Ask": { "type": "object", "properties": { "a": { "type": "string" } } },
                "Told": {
                    "type": "object",
                    "properties": { "b": { "type": "string" } },
                    "required": ["b"],
                },
            },
        },
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut new = document();
    change(&mut new);
    compare_documents(&document(), &new).iter().map(Breach::to_string).collect()
}

/// What is found when one thing of the only route is another.
fn route_with(below: &[&str], value: Value) -> Vec<String> {
    changed(|new| {
        let route = &mut new["paths"]["/v1/things"]["post"];
        let place = below.iter().fold(route, |place, name| match name.parse::<usize>() {
            Ok(index) if place.is_array() => &mut place[index],
            Ok(_) | Err(_) => &mut place[*name],
        });
        *place = value;
    })
}

#[test]
fn a_route_and_its_parameters_stay() {
    assert_eq!(changed(|_| ()), [""; 0]);
    assert_eq!(changed(|new| new["paths"] = json!({})), ["POST /v1/things: the route is gone"]);
    assert_eq!(
        route_with(&["parameters"], json!([])),
        ["POST /v1/things ?limit: is no longer taken", "POST /v1/things ?v: is no longer taken",]
    );
    assert_eq!(
        route_with(&["parameters", "0", "required"], json!(true)),
        ["POST /v1/things ?limit: is required now"]
    );
    assert_eq!(
        route_with(&["parameters", "0", "schema", "maximum"], json!(7)),
        ["POST /v1/things ?limit: has a tighter maximum"]
    );
}

#[test]
fn bodies_and_statuses_stay() {
    assert_eq!(
        route_with(&["requestBody"], json!({ "content": {} })),
        ["POST /v1/things request: is no longer there as application/json"]
    );
    let told = json!({ "200": { "content": {} } });
    assert_eq!(route_with(&["responses"], told), ["POST /v1/things: no longer answers 201"]);
    assert_eq!(
        changed(|new| new["components"]["schemas"]["Told"]["properties"] = json!({})),
        ["POST /v1/things 201.b: the field is gone"]
    );
    assert_eq!(
        changed(|new| new["components"]["schemas"]["Ask"]["required"] = json!(["a"])),
        ["POST /v1/things request.a: is required now"]
    );
}

#[test]
fn an_error_keeps_its_status() {
    let found = changed(|new| {
        let responses = &mut new["paths"]["/v1/things"]["post"]["responses"];
        responses["404"] = responses["409"].take();
    });
    assert_eq!(found, ["POST /v1/things: E_A has the status 404 instead of 409"]);
}

#[test]
fn a_new_route_and_a_new_error_break_nothing() {
    let found = changed(|new| {
        new["paths"]["/v1/others"] = json!({ "get": { "responses": { "200": {} } } });
        new["paths"]["/v1/things"]["post"]["responses"]["404"] =
            json!({ "x-error-codes": ["E_B"] });
    });
    assert_eq!(found, [""; 0]);
}
