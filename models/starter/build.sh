#!/bin/sh
# Rebuilds the starter pack from nothing: the text, the base model, the guide model, a vector for
# each expert domain, a reward adapter for manners, guides and scorers for two tasks.
#
#   sh models/starter/build.sh [FOLDER]      (default: target/starter)
#
# Takes under three hours a model on two processor cores, and goes on where it was when it is
# started again. The result is copied over models/starter by hand, after a look at
# `tiller eval starter --base FOLDER/base --guide FOLDER/guide`.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-target/starter}
tiller="cargo run --release --locked --quiet --"
mkdir -p "$out"

[ -f "$out/text/training.jsonl" ] || $tiller learn text --out "$out/text" \
    --conversations 60000 --held-out 300 --seed 1

# A folder with weights is finished; one with a state is taken up where it was left. Of nine in ten
# conversations only the answers are learnt: what a person will ask can hardly be predicted, and was
# nine tenths of the loss.
learn() {
    name=$1
    shift
    [ -f "$out/$name/model.safetensors" ] && return
    $tiller learn base --text "$out/text/training.jsonl" --held-out "$out/text/held-out.jsonl" \
        --out "$out/$name" --resume --layers 4 --key-heads 2 --batch 4 --sequence 384 \
        --prompt-share 0.1 "$@"
}
learn base --vocab 4096 --hidden 256 --heads 8 --ffn 704 --workers 2 --learning-rate 3e-3 \
    --seed 7 --minutes 150
learn guide --tokenizer "$out/base" --hidden 128 --heads 4 --ffn 352 --workers 2 \
    --learning-rate 4e-3 --seed 11 --minutes 40

# A vector is trained toward expert over generic over avoidance at strength 1, toward generic at a
# slightly and toward avoidance at a clearly negative strength, and to leave the rest alone. The
# likelihood of chosen answers is held up, or a preference is won by making all three unlikely;
# generic pairs count twice, since no strength of a plain preference ever favoured the middle level.
pairs="$out/text/preferences"
mkdir -p "$out/vectors"
vector() {
    domain=$1
    shift
    [ -f "$out/vectors/$domain.safetensors" ] && return
    $tiller learn vector --base "$out/base" --domain "$domain" --resume \
        --pairs "$pairs/$domain.jsonl" --held-out "$pairs/$domain-held-out.jsonl" \
        --at -0.6 "$pairs/$domain-generic.jsonl" --at -0.6 "$pairs/$domain-generic.jsonl" \
        --at -1.5 "$pairs/$domain-avoidance.jsonl" --keep-share 0.7 \
        --keep "$pairs/$1.jsonl" "$pairs/$2.jsonl" "$pairs/manners.jsonl" "$pairs/sentiment.jsonl" \
        --out "$out/vectors/$domain.safetensors" --precision f16 --nll-weight 2 \
        --rank 16 --learning-rate 1.5e-3 --batch 32 --most 8000 --workers 2 --seed 3
    $tiller vector calibrate "$out/vectors/$domain.safetensors" --base "$out/base" \
        --questions 40 --neutral 20 --replies 2 --most 2
}
vector medical legal financial
vector legal medical financial
vector financial medical legal

# Measured with what was made here; the last takes a further fine-tuned stage of the base, all weights
# trained on other preferences for a minute or two, and tries the vectors on that:
#
# tiller eval vectors --base "$out/base" --vectors "$out/vectors"
# tiller eval vectors --base "$out/base" --vectors "$out/vectors" --only stage \
#     --stage "$out/stage" --stage-pairs "$pairs/manners.jsonl"

# The reward adapter prefers helpful and civil answers to rude, evasive and harmful ones, and whole
# answers to the same with a fault in their language, since decoding by it asks what each next token
# is worth; unfinished answers, too, where they part and on the way. A second one of the same pairs
# has the heads over the vocabulary besides: expert and anti-expert, and drafts of three tokens.
mkdir -p "$out/rewards"
reward() {
    path=$1
    shift
    [ -f "$out/$path" ] && return
    $tiller learn reward --base "$out/base" --resume --out "$out/$path" \
        --pairs "$pairs/manners.jsonl" "$pairs/broken.jsonl" \
        --held-out "$pairs/manners-held-out.jsonl" "$pairs/broken-held-out.jsonl" \
        --most 9000 --prefixes 4 --batch 32 --workers 2 --seed 5 --learning-rate 1e-3 "$@"
}
reward rewards/manners.safetensors
reward rewards/manners-heads.safetensors --experts --drafts 3 --name "manners with heads"

# Its table, with the reward model of its own and the other initialisations and insertions, which do
# not ship; about 40 minutes, row by row, and goes on where it was stopped:
#
# tiller eval reward --base "$out/base" --adapter "$out/rewards/manners.safetensors" \
#     --pairs "$pairs/manners-held-out.jsonl" --broken "$pairs/broken-held-out.jsonl" \
#     --learn "$out/reward-table" --training "$pairs/manners.jsonl" "$pairs/broken.jsonl" \
#     --workers 2 --realistic "$out"

# For guidance, by task: the guide with a vector is the tuned half of a pair and the guide itself the
# untuned one; the head of a prefix scorer reads the base as it is, from whole texts with final
# rewards (praise 1, pans -1; expert answers 1, generic ones 0, evasive ones -1), which `learn text`
# writes. The vector is plain fine-tuning on the wanted answers: the likelihood of a text that is known
# by heart can rise nowhere but where it parts from others, so the pair speaks at the first words,
# where a reply is decided (about +0.4 nats a token there for wanted answers, -2 for others, and next
# to nothing later). A preference loss widened its margin on every late token of the rejected
# texts instead, and where the base had begun such a text, the pair made it talk nonsense.
mkdir -p "$out/guide/vectors" "$out/base/scorers"
tuned() {
    task=$1
    shift
    [ -f "$out/guide/vectors/$task.safetensors" ] && return
    $tiller learn vector --base "$out/guide" --domain "$task" --resume \
        --out "$out/guide/vectors/$task.safetensors" --precision f16 --rank 16 \
        --objective likelihood --learning-rate 6e-3 --batch 32 --most 4000 --checked 100 \
        --workers 2 --seed 3 "$@"
}
tuned sentiment --pairs "$pairs/sentiment.jsonl" --held-out "$pairs/sentiment-held-out.jsonl"
tuned expertise --pairs "$pairs/medical-expert.jsonl" "$pairs/legal-expert.jsonl" \
    "$pairs/financial-expert.jsonl" --held-out "$pairs/medical-expert-held-out.jsonl" \
    "$pairs/legal-expert-held-out.jsonl" "$pairs/financial-expert-held-out.jsonl"
for task in sentiment expertise; do
    [ -f "$out/base/scorers/$task.safetensors" ] || $tiller learn value --trunk "$out/base" \
        --texts "$out/text/rewards/$task.jsonl" --held-out "$out/text/rewards/$task-held-out.jsonl" \
        --most 3000 --out "$out/base/scorers/$task.safetensors"
done

# tiller eval guidance --base "$out/base" --guide "$out/guide"
# tiller eval guidance --base "$out/base" --guide "$out/guide" --task expertise
