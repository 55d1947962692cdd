//! The few messages of Protocol Buffers that the proxy's functions take.

use serde_json::Value;

/// `WasmType` of Envoy's `declare_property.proto`.
const STRING: u64 = 1;
const PROTOBUF: u64 = 3;
const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";

/// A message whose fields 1, 2, … are these bytes.
pub(super) fn bytes_fields(fields: &[&[u8]]) -> Vec<u8> {
    let length: usize = fields.iter().map(|field| field.len() + 8).sum();
    let mut message = Vec::with_capacity(length);
    for (number, field) in (1..).zip(fields) {
        put_bytes(&mut message, number, field);
    }
    message
}

/// `DeclarePropertyArguments`
pub(super) fn declare_property(name: &str, is_object: bool) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, 1, name.as_bytes());
    put_number(&mut message, 3, if is_object { PROTOBUF } else { STRING });
    if is_object {
        put_bytes(&mut message, 4, STRUCT.as_bytes());
    }
    message
}

/// `google.protobuf.Struct`
pub(super) fn structure(value: &Value) -> Vec<u8> {
    let mut message = Vec::new();
    for (name, member) in value.as_object().into_iter().flatten() {
        // An entry of a map is a message of its key and its value.
        let entry = bytes_fields(&[name.as_bytes(), &any_value(member)]);
        put_bytes(&mut message, 1, &entry);
    }
    message
}

/// `google.protobuf.Value`
fn any_value(value: &Value) -> Vec<u8> {
    let mut message = Vec::new();
    match value {
        Value::Null => put_number(&mut message, 1, 0),
        Value::Number(number) => {
            message.push(2 << 3 | 1);
            message.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Value::String(text) => put_bytes(&mut message, 3, text.as_bytes()),
        Value::Bool(truth) => put_number(&mut message, 4, u64::from(*truth)),
        Value::Object(_) => put_bytes(&mut message, 5, &structure(value)),
        Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                put_bytes(&mut list, 1, &any_value(item));
            }
            put_bytes(&mut message, 6, &list);
        }
    }
    message
}

/// A length-delimited field: number and wire type 2, length, bytes.
fn put_bytes(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put_number(message: &mut Vec<u8>, number: u8, value: u64) {
    message.push(number << 3);
    put_varint(message, value);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        message.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}
