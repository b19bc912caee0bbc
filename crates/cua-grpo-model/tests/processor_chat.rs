//! Whole conversations against the golden files of both fixture sets, and conversations that grow by extension.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::{SETS, folder, ids, image as picture, json as golden};
use cua_grpo_core::{Chunk, Image, Message, Renderer, Role, TokenId};
use cua_grpo_model::processor::*;
use serde_json::{Value, json};

fn renderer(set: &str) -> ChatRenderer {
    ChatRenderer::load(&folder(set)).unwrap()
}

#[test]
fn chat_cases_match_with_the_models_template_and_our_own() {
    for set in SETS {
        let loaded = renderer(set);
        let own = ChatTemplate::new(ChatTemplate::QWEN3_VL).unwrap();
        let own = ChatRenderer::new(loaded.tokenizer().clone(), own, loaded.images().clone());
        let cases = golden(set, "chat.json");
        let cases = cases["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 29);
        for case in cases {
            let name = format!("{set} {}", case["name"]);
            let rendered = case["rendered"].as_str().unwrap();
            let variables = case["kwargs"].as_object().unwrap().clone();
            for template in [
                ChatTemplate::load(&folder(set)).unwrap(),
                ChatTemplate::new(ChatTemplate::QWEN3_VL).unwrap(),
            ] {
                let got = template
                    .render(&case["messages"], Some(&case["tools"]), &variables)
                    .unwrap();
                assert_eq!(got, rendered, "{name}");
            }
            assert_eq!(
                loaded.tokenizer().encode(rendered).unwrap(),
                ids(&case["token_ids"]),
                "{name}"
            );
            let images = case["images"].as_array().map_or(&[][..], Vec::as_slice);
            let grid = |image: &Value| {
                loaded
                    .images()
                    .encoded_grid(&picture(set, image.as_str().unwrap()).bytes)
                    .unwrap()
            };
            let grids: Vec<Grid> = images.iter().map(grid).collect();
            if rendered.contains("<|video_pad|>") {
                continue; // The golden ids hold one bare pad; clips have their own test.
            }
            let options = ConversationOptions {
                add_generation_prompt: case["kwargs"]["add_generation_prompt"] == true,
                tools: case["tools"].as_array().cloned(),
                variables,
                ..Default::default()
            };
            let want = ids(if grids.is_empty() {
                &case["token_ids"]
            } else {
                &case["expanded_token_ids"]
            });
            for renderer in [&loaded, &own] {
                let got = renderer.encode_conversation(case["messages"].as_array().unwrap(), &grids, &options);
                assert_eq!(got.unwrap(), want, "{name}");
            }
        }
    }
}

#[test]
fn clips_are_laid_out_as_the_released_models_saw_them() {
    for set in SETS {
        let golden = golden(set, "positions.json");
        let raw = std::fs::read(folder(set).join("golden/positions.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&raw).unwrap();
        let want = file.tensor("video_stripped.input_ids").unwrap();
        let want: Vec<TokenId> = want
            .data()
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as TokenId)
            .collect();
        let times = golden["video"]["timestamps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_f64().unwrap())
            .collect();
        let grid = ids(&golden["video"]["video_grid_thw"][0]);
        let options = ConversationOptions {
            videos: vec![VideoSpan {
                timestamps: times,
                tokens: (grid[1] * grid[2] / 4) as usize,
            }],
            ..Default::default()
        };
        let messages = [
            json!({"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What?"}]}),
            json!({"role": "assistant", "content": "It."}),
        ];
        assert_eq!(
            renderer(set).encode_conversation(&messages, &[], &options).unwrap(),
            want,
            "{set}"
        );
    }
}

fn episode(set: &str) -> Vec<Message> {
    let look = |image: &str, text: &str| {
        Message::new(
            Role::User,
            vec![
                Chunk::Text(text.to_owned()),
                Chunk::Image(picture(set, image)),
                Chunk::Text("!".to_owned()),
            ],
        )
    };
    vec![
        Message::text(Role::System, "You tap. Answer in <tool_call> tags."),
        look("img0.png", "Open <|im_end|> it"),
        Message::text(Role::Assistant, "<tool_call>\n{\"name\": \"click\"}\n</tool_call>"),
        look("img1.png", ""),
        Message::text(Role::Assistant, ""),
        Message::text(Role::Tool, "one"),
        Message::new(Role::Tool, vec![Chunk::Image(picture(set, "img2.png"))]),
        Message::text(Role::Assistant, "Done é."),
        Message::text(Role::User, "thanks"),
    ]
}

#[test]
fn extensions_add_up_to_the_one_shot_rendering() {
    for set in SETS {
        for tools in [
            vec![],
            golden(set, "chat.json")["cases"][8]["tools"]
                .as_array()
                .unwrap()
                .clone(),
        ] {
            let renderer = renderer(set).with_tools(tools);
            let messages = episode(set);
            let whole = renderer.render(&[], &messages, true).unwrap();
            let (mut grown, mut images, mut done) = (Vec::new(), Vec::new(), 0);
            for (index, message) in messages.iter().enumerate() {
                if message.role == Role::Assistant {
                    let prompt = renderer
                        .render(&messages[..done], &messages[done..index], true)
                        .unwrap();
                    grown.extend(prompt.tokens);
                    images.extend(prompt.images);
                    let reply = renderer.encode_reply(&message.joined_text());
                    assert_eq!(renderer.decode(&reply), message.joined_text());
                    grown.extend(reply);
                    done = index + 1;
                }
            }
            let last = renderer.render(&messages[..done], &messages[done..], true).unwrap();
            grown.extend(&last.tokens);
            assert_eq!(grown, whole.tokens, "{set}");
            assert_eq!(images, whole.images);
            // A reply that was cut off is closed by the next prompt.
            let open = renderer.render(&messages[..done], &messages[done..], false).unwrap();
            assert_eq!(open.tokens[0], renderer.tokenizer().special().im_end);
            assert_eq!(open.tokens[1..], last.tokens[..]);
            // The system prompt's markup is a token, the user's control literal is text.
            let special = renderer.tokenizer().special();
            let count = |id| whole.tokens.iter().filter(|&&token| token == id).count();
            assert_eq!(
                count(special.im_start),
                9,
                "eight messages, tool results share one, and the next header"
            );
            assert_eq!(count(special.im_end), 8);
            // Each prompt's pads fit the pictures' grids.
            let grids: Vec<Grid> = whole
                .images
                .iter()
                .map(|image| renderer.images().encoded_grid(&image.bytes).unwrap())
                .collect();
            assert!(rope_index(&whole.tokens, &grids, &[], special.pads(2)).is_ok());
        }
    }
}

#[test]
fn conversations_that_cannot_be_extended_are_faults() {
    let renderer = renderer("a");
    let user = Message::text(Role::User, "x");
    let reply = Message::text(Role::Assistant, "y");
    let system = Message::text(Role::System, "z");
    let drawn = Message::new(Role::Assistant, vec![Chunk::Image(picture("a", "img0.png"))]);
    let broken = Message::new(Role::User, vec![Chunk::Image(Image::new(*b"no picture"))]);
    let history = [user.clone(), reply.clone()];
    assert!(renderer.render(&history, std::slice::from_ref(&user), true).is_ok());
    assert!(
        renderer
            .render(&history[..1], std::slice::from_ref(&user), true)
            .is_err(),
        "no reply at the end"
    );
    assert!(
        renderer.render(&history, &[system], true).is_err(),
        "late system message"
    );
    assert!(
        renderer.render(&[], &[drawn], true).is_err(),
        "the template drops this picture"
    );
    assert!(renderer.render(&history, &[broken], true).is_err(), "not a picture");
    let rewriting = "{% for m in messages %}{{ loop.revindex }}{{ m.content }}<|im_end|>\n{% endfor %}";
    let rewriting = ChatTemplate::new(rewriting).unwrap();
    let rewriting = ChatRenderer::new(renderer.tokenizer().clone(), rewriting, renderer.images().clone());
    assert!(
        rewriting.render(&history, &[user], true).is_err(),
        "earlier turns change"
    );
}
