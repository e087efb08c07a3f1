//! How conversations are written for the models trained here: the turn markers, and the chat
//! template that writes the same.

use super::corpus::Message;

/// Ends a document; also the padding.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Ends a turn.
pub const END_OF_TURN: &str = "<|end|>";
/// Every marker, in the order of their ids from 0.
pub const MARKERS: [&str; 5] =
    [END_OF_TEXT, "<|system|>", "<|user|>", "<|assistant|>", END_OF_TURN];

/// The template that goes into `tokenizer_config.json`.
pub const CHAT_TEMPLATE: &str = "{%- for message in messages -%}\
{%- if message['role'] not in ['system', 'user', 'assistant'] -%}\
{{- raise_exception('Unknown role: ' + message['role']) -}}\
{%- endif -%}\
{{- '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' -}}\
{%- endfor -%}\
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}";

/// A whole conversation.
///
/// # Errors
/// The role, when it is none of system, user and assistant.
pub fn conversation(messages: &[Message]) -> Result<String, String> {
    let mut text = String::new();
    for Message { role, content } in messages {
        if !["system", "user", "assistant"].contains(&role.as_str()) {
            return Err(role.clone());
        }
        text.push_str(&format!("<|{role}|>{}{END_OF_TURN}", content.trim()));
    }
    Ok(text)
}

/// For each token of a document, whether it belongs to what others than the assistant say: their
/// words, what ends them, and the markers of all roles. Plain text is the assistant's.
pub fn of_prompts(tokens: &[u32]) -> impl Iterator<Item = bool> {
    const SYSTEM: u32 = 1;
    const USER: u32 = 2;
    const ASSISTANT: u32 = 3;
    let mut is_prompt = false;
    tokens.iter().map(move |&token| {
        if token == SYSTEM || token == USER {
            is_prompt = true;
        } else if token == ASSISTANT {
            is_prompt = false;
            return true;
        }
        is_prompt
    })
}

/// A stretch of plain text as a document.
pub fn plain_document(text: &str) -> String {
    format!("{text}{END_OF_TEXT}")
}
