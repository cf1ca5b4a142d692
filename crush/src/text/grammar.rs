//! What a text map says, before names are looked up: the parser's result.

use super::Error;
use super::tokens::{Token, Tokens};

pub(super) struct IdLine<'a> {
    pub(super) id: i32,
    pub(super) token: Token<'a>,
    pub(super) class: Option<Token<'a>>,
}

pub(super) struct ItemLine<'a> {
    pub(super) name: Token<'a>,
    pub(super) weight: Option<(u32, Token<'a>)>,
    pub(super) place: Option<(usize, Token<'a>)>,
}

pub(super) struct BucketText<'a> {
    pub(super) type_name: Token<'a>,
    pub(super) name: Token<'a>,
    pub(super) ids: Vec<IdLine<'a>>,
    pub(super) algorithm: Token<'a>,
    pub(super) hash: u8,
    pub(super) items: Vec<ItemLine<'a>>,
}

pub(super) enum StepText<'a> {
    Noop,
    Take { item: Token<'a>, class: Option<Token<'a>> },
    Choose { how: Token<'a>, is_leaf: bool, count: i32, type_name: Token<'a> },
    ChooseMsr { count: i32, type_name: Token<'a> },
    Set { what: Token<'a>, value: i32 },
    Emit,
}

pub(super) struct RuleText<'a> {
    pub(super) keyword: Token<'a>,
    pub(super) name: Option<Token<'a>>,
    pub(super) id: (u8, Token<'a>),
    pub(super) rule_type: Token<'a>,
    pub(super) sizes: Option<(u8, u8)>,
    pub(super) steps: Vec<StepText<'a>>,
}

pub(super) struct ChooseArgText<'a> {
    pub(super) bucket: (i32, Token<'a>),
    pub(super) weight_sets: Vec<Vec<u32>>,
    pub(super) ids: Vec<i32>,
}

pub(super) enum Statement<'a> {
    Tunable { name: Token<'a>, value: (u32, Token<'a>) },
    Device { id: (i32, Token<'a>), name: Token<'a>, class: Option<Token<'a>> },
    Type { id: (u16, Token<'a>), name: Token<'a> },
    Bucket(BucketText<'a>),
    Rule(RuleText<'a>),
    ChooseArgs { id: (i64, Token<'a>), arguments: Vec<ChooseArgText<'a>> },
}

/// The statements of a text, in order.
pub(super) fn parse(text: &str) -> Result<Vec<Statement<'_>>, Error> {
    let mut tokens = Tokens::of(text);
    let mut statements = Vec::new();
    // Tunables, devices and types come first, choose arguments last.
    let mut stage = 0;
    while !tokens.is_at_end() {
        let token = tokens.peek();
        let (stage_of_it, statement) = match token.word {
            "tunable" => (0, tunable(&mut tokens)?),
            "device" => (0, device(&mut tokens)?),
            "type" => (0, bucket_type(&mut tokens)?),
            "rule" => (1, Statement::Rule(rule(&mut tokens)?)),
            "choose_args" => (2, choose_args(&mut tokens)?),
            _ => (1, Statement::Bucket(bucket(&mut tokens)?)),
        };
        if stage_of_it < stage {
            return Err(token.error(format!(
                "'{}' comes too late: tunables, devices and types stand before buckets and rules, choose_args last",
                token.word
            )));
        }
        stage = stage_of_it;
        statements.push(statement);
    }
    Ok(statements)
}

fn tunable<'a>(tokens: &mut Tokens<'a>) -> Result<Statement<'a>, Error> {
    tokens.expect("tunable")?;
    Ok(Statement::Tunable { name: tokens.name("the name of a tunable")?, value: tokens.number("a tunable's value")? })
}

fn class<'a>(tokens: &mut Tokens<'a>) -> Result<Option<Token<'a>>, Error> {
    if tokens.accept("class") { Ok(Some(tokens.name("the name of a class")?)) } else { Ok(None) }
}

fn device<'a>(tokens: &mut Tokens<'a>) -> Result<Statement<'a>, Error> {
    tokens.expect("device")?;
    let id = tokens.number("a device id")?;
    Ok(Statement::Device { id, name: tokens.name("a device name")?, class: class(tokens)? })
}

fn bucket_type<'a>(tokens: &mut Tokens<'a>) -> Result<Statement<'a>, Error> {
    tokens.expect("type")?;
    Ok(Statement::Type { id: tokens.number("a type's number")?, name: tokens.name("the name of a type")? })
}

fn bucket<'a>(tokens: &mut Tokens<'a>) -> Result<BucketText<'a>, Error> {
    let type_name = tokens.name("the type of a bucket")?;
    let name = tokens.name("the name of a bucket")?;
    tokens.expect("{")?;
    let mut ids = Vec::new();
    while tokens.accept("id") {
        let (id, token) = tokens.number("a bucket id")?;
        ids.push(IdLine { id, token, class: class(tokens)? });
    }
    tokens.expect("alg")?;
    let algorithm = tokens.name("a bucket algorithm")?;
    let mut hash = 0;
    while tokens.accept("hash") {
        hash = if tokens.accept("rjenkins1") { 0 } else { tokens.number("a hash's number")?.0 };
    }
    let mut items = Vec::new();
    while tokens.accept("item") {
        let name = tokens.name("the name of an item")?;
        let weight = if tokens.accept("weight") { Some(tokens.weight()?) } else { None };
        let place = if tokens.accept("pos") { Some(tokens.number("a place in the bucket")?) } else { None };
        items.push(ItemLine { name, weight, place });
    }
    tokens.expect("}")?;
    Ok(BucketText { type_name, name, ids, algorithm, hash, items })
}

fn rule<'a>(tokens: &mut Tokens<'a>) -> Result<RuleText<'a>, Error> {
    let keyword = tokens.expect("rule")?;
    let name = if tokens.peek().word == "{" { None } else { Some(tokens.name("the name of a rule")?) };
    tokens.expect("{")?;
    if !tokens.accept("ruleset") {
        tokens.expect("id")?;
    }
    let id = tokens.number("a rule's id")?;
    tokens.expect("type")?;
    let rule_type = tokens.name("the type of a rule")?;
    let sizes = if tokens.accept("min_size") {
        let smallest = tokens.number("a number of replicas")?.0;
        tokens.expect("max_size")?;
        Some((smallest, tokens.number("a number of replicas")?.0))
    } else {
        None
    };
    let mut steps = Vec::new();
    while tokens.accept("step") {
        steps.push(step(tokens)?);
    }
    tokens.expect("}")?;
    Ok(RuleText { keyword, name, id, rule_type, sizes, steps })
}

fn step<'a>(tokens: &mut Tokens<'a>) -> Result<StepText<'a>, Error> {
    let what = tokens.next("a step")?;
    match what.word {
        "noop" => Ok(StepText::Noop),
        "emit" => Ok(StepText::Emit),
        "take" => Ok(StepText::Take { item: tokens.name("the name of an item")?, class: class(tokens)? }),
        "choose" | "chooseleaf" => {
            let how = tokens.next("'firstn' or 'indep'")?;
            let count = tokens.number("a number of items")?.0;
            tokens.expect("type")?;
            let type_name = tokens.name("the name of a type")?;
            Ok(StepText::Choose { how, is_leaf: what.word == "chooseleaf", count, type_name })
        }
        "choosemsr" => {
            let count = tokens.number("a number of items")?.0;
            tokens.expect("type")?;
            Ok(StepText::ChooseMsr { count, type_name: tokens.name("the name of a type")? })
        }
        word if word.starts_with("set_") => Ok(StepText::Set { what, value: tokens.number("a number")?.0 }),
        word => Err(what.error(format!("there is no step '{word}'"))),
    }
}

fn choose_args<'a>(tokens: &mut Tokens<'a>) -> Result<Statement<'a>, Error> {
    tokens.expect("choose_args")?;
    let id = tokens.number("the number of a set of choose arguments")?;
    tokens.expect("{")?;
    let mut arguments = Vec::new();
    while tokens.accept("{") {
        tokens.expect("bucket_id")?;
        let bucket = tokens.number("a bucket id")?;
        let mut weight_sets = Vec::new();
        if tokens.accept("weight_set") {
            tokens.expect("[")?;
            while tokens.accept("[") {
                let mut weights = Vec::new();
                while !tokens.accept("]") {
                    weights.push(tokens.weight()?.0);
                }
                weight_sets.push(weights);
            }
            tokens.expect("]")?;
        }
        let mut ids = Vec::new();
        if tokens.accept("ids") {
            tokens.expect("[")?;
            while !tokens.accept("]") {
                ids.push(tokens.number("an id")?.0);
            }
        }
        tokens.expect("}")?;
        arguments.push(ChooseArgText { bucket, weight_sets, ids });
    }
    tokens.expect("}")?;
    Ok(Statement::ChooseArgs { id, arguments })
}
