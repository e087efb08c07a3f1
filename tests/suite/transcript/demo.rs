//! Conversations to look at: every Markdown shape, versions, tokens, long lists.

use tiller::session::{Alternative, Node, NodeId, NodeState, Role, TokenTrace};

pub const MARKDOWN: &str = r#"## How a tiller works

A *tiller* is a **lever** fixed to the head of a rudder. Push it to **port** and the boat turns to
starboard; see [the article](https://example.org/tiller) or read `man tiller`. ~~Nothing~~ A little
helps: $F_t = r \times m$ and \(a_1 * b_1 * c_1\) stay as written.

### In three steps

1. Look *ahead*, not at the tiller
2. Push gently
   - a little to port
   - a little to starboard
     - and back
3. Wait for the boat

- [x] life jackets on
- [ ] sails up

> Ships are safe in harbour,
> but that is not what ships are for.

```rust
/// Degrees to starboard for a push to port.
fn turn(push: f32) -> f32 {
    let gain = 1.5; // from sea trials
    -gain * push.clamp(-30.0, 30.0)
}
```

| Part   | Material | Weight |
|:-------|:--------:|-------:|
| Tiller | ash      | 1.2 kg |
| Rudder | oak and bronze fittings, varnished twice a year | 14 kg |

---

<aside>HTML is shown as text</aside>

![a small boat](https://example.org/boat.png)
"#;

pub const HEBREW: &str = "איך עובד הגה?\nבקיצור, בבקשה.";

pub const SCRIPTS: &str =
    "ההגה הוא **מנוף** המחובר לראש ההגה, ודוחפים אותו שמאלה כדי לפנות ימינה; \
ראו [כאן](https://example.org) את tiller 2.0 בפעולה.

الدفة هي *رافعة* مثبتة على رأس الدفة، وتدفعها يسارا لتتجه السفينة يمينا.

- 舵柄は船の舵を動かすための棒です。左へ押すと船は右へ曲がります。
- 舵柄是装在舵头上的杠杆。

English with עברית קצרה inside, and back again.";

/// A stored message.
pub fn node(id: i64, role: Role, content: &str) -> Node {
    Node {
        id: NodeId(id),
        parent: (id > 1).then_some(NodeId(id - 1)),
        role,
        content: content.to_owned(),
        state: NodeState::Finished,
        created_ms: 1_700_000_000_000 + id,
        tokens: Vec::new(),
        recipe: None,
        outcome: None,
    }
}

/// A token with made-up neighbours: `percent` is its own probability.
pub fn token(id: u32, text: &str, percent: f32, rank: usize) -> TokenTrace {
    let probability = percent / 100.0;
    let others = ["the", " boat", " slowly", "\n", " a", " ferry", ".", " and", " tide", "<0xE4>"];
    let mut alternatives: Vec<Alternative> = others
        .iter()
        .enumerate()
        .map(|(index, text)| Alternative {
            id: 1000 + index as u32,
            text: (*text).to_owned(),
            logprob: ((1.0 - probability).max(0.02) * 0.5_f32.powi(index as i32 + 1)).ln(),
        })
        .collect();
    if rank < 10 {
        let own = Alternative { id, text: text.to_owned(), logprob: probability.ln() };
        alternatives.insert(rank, own);
        alternatives.truncate(10);
    }
    TokenTrace {
        id,
        text: text.to_owned(),
        logprob: probability.ln(),
        entropy: -probability.ln() * 0.7 + 0.1,
        alternatives,
        reward: None,
    }
}

/// A reply with tokens of every kind.
pub fn traced_reply(id: i64) -> Node {
    let parts: [(&str, f32, usize); 24] = [
        ("The", 82.0, 0),
        (" old", 12.0, 1),
        (" ferry", 34.0, 0),
        (" crosses", 3.0, 4),
        (" the", 91.0, 0),
        (" river", 66.0, 0),
        (" at", 41.0, 0),
        (" dawn", 0.4, 12),
        (",", 55.0, 0),
        (" its", 22.0, 1),
        (" lamp", 1.8, 7),
        (" still", 37.0, 0),
        (" lit", 71.0, 0),
        (".", 96.0, 0),
        ("\n\n", 48.0, 0),
        ("No", 5.0, 3),
        (" one", 88.0, 0),
        (" waves", 9.0, 2),
        (" 川", 0.7, 11),
        ("", 15.0, 1),
        ("", 97.0, 0),
        ("ä", 99.0, 0),
        ("!", 30.0, 0),
        ("\t", 2.0, 5),
    ];
    let mut tokens: Vec<TokenTrace> = parts
        .iter()
        .enumerate()
        .map(|(index, (text, percent, rank))| token(index as u32 + 10, text, *percent, *rank))
        .collect();
    // "ä" comes in two tokens; neither is a whole character by itself.
    tokens[19].alternatives[1].text = "<0xC3>".to_owned();
    tokens[20].alternatives[0].text = "<0xA4>".to_owned();
    let content: String = tokens.iter().map(|token| token.text.as_str()).collect();
    Node { tokens, ..node(id, Role::Assistant, &content) }
}
