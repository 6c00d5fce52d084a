//! What is claimed of a bundle, each as a question that a solver can answer.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Policy, PolicySet, RequestEnv, Schema};
use writ_engine::Bundle;
use writ_engine::access::Action;
use writ_engine::bundle::BundleFiles;
use writ_engine::suite::{About, Invariant, Place, Promise, Suite};

use crate::source::{Source, Twice, forbids, permit_when};
use crate::{Kind, Unreadable};

/// The most people a promise of consent is put to the solver for. Each one more multiplies the ways to fall short.
const PEOPLE_MAX: u32 = 8;

/// A claim, and the questions whose answers make it true.
pub(crate) struct Claim<'b> {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) place: Option<Place>,
    /// What is taken for granted beyond the policies: rows of the catalog.
    pub(crate) rests_on: Vec<String>,
    pub(crate) asks: Asks<'b>,
}

/// How a claim is decided.
pub(crate) enum Asks<'b> {
    /// Every question must be answered with no counterexample.
    Each(Vec<Question<'b>>),
    /// One question with an example is enough: that something can happen at all.
    Any(Vec<Question<'b>>),
    /// No solver can answer it, and why.
    Nothing(&'static str),
}

/// One question, in one request environment.
pub(crate) struct Question<'b> {
    pub(crate) schema: Schema,
    pub(crate) environment: RequestEnv,
    pub(crate) about: What,
    /// The bundles that the engine itself is to ask about an example, and whether each allows it. None where the question is
    /// about policies that stand in no bundle, or about one of them alone.
    pub(crate) decided: Vec<(&'b Bundle, bool)>,
}

/// What is asked.
pub(crate) enum What {
    /// Can this policy be without a value?
    NeverErrors(Box<Policy>),
    /// Does this policy match anything?
    Matches(Box<Policy>),
    /// Does this allow anything?
    AllowsSomething(PolicySet),
    /// Is everything that the first allows allowed by the second?
    Implies(PolicySet, PolicySet),
    /// Is nothing allowed by both?
    Disjoint(PolicySet, PolicySet),
}

/// The claims of these kinds about a bundle, the bundle's own promises first.
pub(crate) fn all<'b>(
    bundle: &'b Bundle,
    files: &BundleFiles,
    suite: &Suite,
    base: Option<(&'b Bundle, &BundleFiles)>,
    kinds: &[Kind],
) -> Result<Vec<Claim<'b>>, Unreadable> {
    let source = Source::read(files)?;
    let claims = Claims {
        bundle,
        source: &source,
        set: source.set()?,
    };
    let mut all = Vec::new();
    for kind in Kind::ALL.iter().filter(|kind| kinds.contains(kind)) {
        match kind {
            Kind::Invariant => {
                for (place, invariant) in suite.invariants() {
                    for promise in &invariant.promises {
                        all.push(claims.promise(place, invariant, *promise)?);
                    }
                }
            }
            Kind::NothingNew => {
                if let Some((base, files)) = base {
                    all.push(claims.nothing_new(base, &Source::read(files)?)?);
                }
            }
            Kind::Monotone => all.extend([claims.more_approvals()?, claims.shorter_window()?]),
            Kind::NeverErrors => {
                let policies = source.policies.iter();
                all.extend(policies.map(|policy| claims.never_errors(policy)));
            }
            Kind::Alive => {
                for policy in &source.policies {
                    all.push(claims.alive(policy)?);
                }
            }
        }
    }
    Ok(all)
}

struct Claims<'a, 'b> {
    bundle: &'b Bundle,
    source: &'a Source,
    set: PolicySet,
}

impl<'b> Claims<'_, 'b> {
    /// A request as the engine makes one: nothing negative, and a window that ends its length after it opens.
    fn sound(&self, context: &str) -> String {
        let mut sound = format!(
            "{context}.window.duration > duration(\"0ms\") \
             && {context}.window.closes_at == {context}.window.opens_at.offset({context}.window.duration) \
             && {context}.window.weekday >= 1 && {context}.window.weekday <= 7 \
             && {context}.window.time_of_day >= duration(\"0ms\") \
             && {context}.window.time_of_day < duration(\"1d\")"
        );
        for kind in self.bundle.kinds() {
            sound.push_str(&format!(" && {context}.approvals.{kind} >= 0"));
        }
        sound
    }

    /// Both evidences alike but for what is compared.
    fn alike(&self, action: Action, window: bool, approvals: bool) -> String {
        let (one, two) = ("context.one", "context.two");
        let past = match action {
            Action::Activate => None,
            Action::BreakGlass => Some("open_reviews"),
            Action::Extend => Some("extensions"),
        };
        let past =
            past.map(|count| format!("{one}.{count} >= 0 && {one}.{count} == {two}.{count}"));
        let mut parts = vec![
            format!("{one}.reason == {two}.reason"),
            format!(
                "(if {one} has ticket then {two} has ticket && {one}.ticket == {two}.ticket else !({two} has ticket))"
            ),
        ];
        for part in ["opens_at", "weekday", "time_of_day"] {
            parts.push(format!("{one}.window.{part} == {two}.window.{part}"));
        }
        parts.extend(past);
        if window {
            parts.push(format!("{one}.window.duration == {two}.window.duration"));
        }
        if approvals {
            for kind in self.bundle.kinds() {
                parts.push(format!("{one}.approvals.{kind} == {two}.approvals.{kind}"));
            }
        }
        parts.join(" && ")
    }

    fn more_approvals(&self) -> Result<Claim<'b>, Unreadable> {
        let more: Vec<String> = self
            .bundle
            .kinds()
            .map(|kind| format!("context.two.approvals.{kind} >= context.one.approvals.{kind}"))
            .collect();
        self.monotone(
            "more approvals never take anything away",
            |action| self.alike(action, true, false),
            &more.join(" && "),
        )
    }

    fn shorter_window(&self) -> Result<Claim<'b>, Unreadable> {
        self.monotone(
            "a shorter window is never refused where a longer one is given",
            |action| self.alike(action, false, true),
            "context.two.window.duration <= context.one.window.duration",
        )
    }

    /// By each action that the schema declares.
    fn monotone(
        &self,
        text: &str,
        alike: impl Fn(Action) -> String,
        compared: &str,
    ) -> Result<Claim<'b>, Unreadable> {
        let (one, two) = (self.sound("context.one"), self.sound("context.two"));
        let mut questions = Vec::new();
        for action in Action::ALL {
            let environments = self.source.asking(&[action]);
            if environments.is_empty() {
                continue;
            }
            let assumed = format!("{one} && {two} && {} && {compared}", alike(action));
            let Twice { schema, one, two } = self.source.twice(action, &assumed)?;
            questions.extend(environments.into_iter().map(|environment| Question {
                schema: schema.clone(),
                environment,
                about: What::Implies(one.clone(), two.clone()),
                decided: Vec::new(),
            }));
        }
        Ok(Claim {
            kind: Kind::Monotone,
            text: text.to_owned(),
            place: None,
            rests_on: Vec::new(),
            asks: Asks::Each(questions),
        })
    }

    fn nothing_new(&self, before: &'b Bundle, base: &Source) -> Result<Claim<'b>, Unreadable> {
        let (new, base) = (self.source.set_when(&self.sound("context"))?, base.set()?);
        let implies = |environments: Vec<RequestEnv>, new: &PolicySet| {
            let question = |environment| Question {
                decided: vec![(self.bundle, true), (before, false)],
                ..self.question(environment, What::Implies(new.clone(), base.clone()))
            };
            environments.into_iter().map(question).collect::<Vec<_>>()
        };
        let mut questions = implies(self.source.asking(&Action::ALL), &new);
        questions.extend(implies(self.source.consenting(), &self.set));
        Ok(Claim {
            kind: Kind::NothingNew,
            text: "nothing is permitted that was not".to_owned(),
            place: None,
            rests_on: Vec::new(),
            asks: Asks::Each(questions),
        })
    }

    fn never_errors(&self, policy: &Policy) -> Claim<'b> {
        let environments = self.source.all().into_iter();
        let ask =
            |environment| self.question(environment, What::NeverErrors(Box::new(policy.clone())));
        Claim {
            kind: Kind::NeverErrors,
            text: format!("`{}` has a value for every request", policy.id()),
            place: self.place(policy),
            rests_on: Vec::new(),
            asks: Asks::Each(environments.map(ask).collect()),
        }
    }

    /// A forbid that matches something, a permit that gives something which no forbid takes.
    fn alive(&self, policy: &Policy) -> Result<Claim<'b>, Unreadable> {
        let environments = self.source.all().into_iter();
        let (does, questions): (_, Vec<Question<'b>>) = match forbids(policy) {
            true => {
                let about = || What::Matches(Box::new(policy.clone()));
                let ask = |environment| self.question(environment, about());
                ("forbids something", environments.map(ask).collect())
            }
            false => {
                let alone = self.source.alone(policy)?;
                let about = || What::AllowsSomething(alone.clone());
                let ask = |environment| self.question(environment, about());
                (
                    "gives something that no guardrail takes",
                    environments.map(ask).collect(),
                )
            }
        };
        Ok(Claim {
            kind: Kind::Alive,
            text: format!("`{}` {does}", policy.id()),
            place: self.place(policy),
            rests_on: Vec::new(),
            asks: Asks::Any(questions),
        })
    }

    fn question(&self, environment: RequestEnv, about: What) -> Question<'b> {
        Question {
            schema: self.source.schema.clone(),
            environment,
            about,
            decided: Vec::new(),
        }
    }

    /// Nothing that the bundle allows is allowed by these.
    fn never(&self, environment: RequestEnv, broken: &PolicySet) -> Question<'b> {
        Question {
            decided: vec![(self.bundle, true)],
            ..self.question(
                environment,
                What::Disjoint(self.set.clone(), broken.clone()),
            )
        }
    }

    fn place(&self, policy: &Policy) -> Option<Place> {
        let place = self.bundle.policy(policy.id().as_ref())?;
        Some(Place {
            file: place.file.clone(),
            line: place.line,
        })
    }

    fn promise(
        &self,
        place: &Place,
        invariant: &Invariant,
        promise: Promise,
    ) -> Result<Claim<'b>, Unreadable> {
        let (asks, rests_on) = match promise {
            Promise::Longest(longest) => {
                let breaks = format!(
                    "context.window.duration > duration(\"{}s\")",
                    longest.as_s()
                );
                self.disjoint(&invariant.about, &breaks)?
            }
            Promise::People(least) if least <= PEOPLE_MAX => {
                self.disjoint(&invariant.about, &self.fewer_than(least))?
            }
            Promise::People(_) => (
                Asks::Nothing(
                    "too many people to be put to a solver; it is checked by enumeration",
                ),
                Vec::new(),
            ),
            Promise::NoSelfApproval => (self.no_self_approval(&invariant.about)?, Vec::new()),
            Promise::SomeoneConsents => (
                Asks::Nothing("it is about people who exist; it is checked by enumeration"),
                Vec::new(),
            ),
        };
        let what = match promise {
            Promise::Longest(longest) => format!("no window over {longest}"),
            Promise::People(least) => format!("at least {least} people consent"),
            Promise::NoSelfApproval => "no own consent".to_owned(),
            Promise::SomeoneConsents => "someone else may consent".to_owned(),
        };
        Ok(Claim {
            kind: Kind::Invariant,
            text: format!("{} ({what})", invariant.name),
            place: Some(place.clone()),
            rests_on,
            asks,
        })
    }

    /// Every way for fewer than `least` people to have consented. Nobody counts for two kinds, so the counts add up to
    /// people.
    fn fewer_than(&self, least: u32) -> String {
        let kinds: Vec<String> = self.bundle.kinds().map(ToString::to_string).collect();
        let mut ways: Vec<Vec<u32>> = vec![Vec::new()];
        for _ in &kinds {
            ways = ways
                .iter()
                .flat_map(|way| {
                    let left = least.saturating_sub(1) - way.iter().sum::<u32>();
                    (0..=left).map(|count| [&way[..], &[count]].concat())
                })
                .collect();
        }
        let way = |way: &Vec<u32>| {
            let parts: Vec<String> = kinds
                .iter()
                .zip(way)
                .map(|(kind, count)| format!("context.approvals.{kind} <= {count}"))
                .collect();
            format!("({})", parts.join(" && "))
        };
        let ways: Vec<String> = ways.iter().map(way).collect();
        match (least, kinds.is_empty()) {
            // Nobody at all is never too few.
            (0, _) => "false".to_owned(),
            (_, true) => "true".to_owned(),
            (_, false) => format!("({})", ways.join(" || ")),
        }
    }

    /// Nothing that the policies allow is one of those whom the promise is about, and breaks it.
    fn disjoint(&self, about: &About, breaks: &str) -> Result<(Asks<'b>, Vec<String>), Unreadable> {
        let sound = self.sound("context");
        let (rows, rests_on) = self.rows(about);
        let mut questions = Vec::new();
        let actions: Vec<Action> = about.actions.iter().copied().collect();
        for environment in self.source.asking(&actions) {
            let Some(whom) = whom(about, environment.principal()) else {
                continue;
            };
            let condition = format!("{whom} && {rows} && {sound} && {breaks}");
            let broken = permit_when("broken", &condition)?;
            let broken = PolicySet::from_policies([broken]).map_err(Unreadable::of)?;
            questions.push(self.never(environment, &broken));
        }
        Ok((Asks::Each(questions), rests_on))
    }

    fn no_self_approval(&self, about: &About) -> Result<Asks<'b>, Unreadable> {
        if about.who.is_some() || !about.except.is_empty() || about.scopes.is_some() {
            return Ok(Asks::Nothing(
                "it makes exceptions, which a proof of it does not know; it is checked by enumeration",
            ));
        }
        let own = permit_when("own", "context.requester == principal")?;
        let own = PolicySet::from_policies([own]).map_err(Unreadable::of)?;
        let environments = self.source.consenting().into_iter();
        let questions = environments.map(|environment| self.never(environment, &own));
        Ok(Asks::Each(questions.collect()))
    }

    /// The scopes a promise is about, as the catalog has them: a solver knows no catalog, and would give a scope of
    /// production another environment.
    fn rows(&self, about: &About) -> (String, Vec<String>) {
        let Some(scopes) = &about.scopes else {
            return ("true".to_owned(), Vec::new());
        };
        let (mut rows, mut rests_on) = (Vec::new(), Vec::new());
        for scope in scopes.iter().filter_map(|id| self.bundle.scope(id)) {
            let environment = text(&scope.environment);
            let (system, owners) = (uid("System", &scope.system), uid("Group", &scope.owners));
            rows.push(format!(
                "(resource == {} && resource.environment == {environment} && resource.system == {system} \
                 && resource in {system} && resource.owners == {owners})",
                uid("Scope", scope.id.as_str()),
            ));
            rests_on.push(format!(
                "scopes.hcl: `{}` is of environment {environment}, {system} and {owners}",
                scope.id
            ));
        }
        match rows.is_empty() {
            true => ("false".to_owned(), rests_on),
            false => (format!("({})", rows.join(" || ")), rests_on),
        }
    }
}

/// Whom a promise is about among principals of one kind; `None` where nobody of that kind.
fn whom(about: &About, kind: &EntityTypeName) -> Option<String> {
    let one = |selector: &String| match selector.split_once(':') {
        Some(("group", group)) => Some(format!("principal in {}", uid("Group", group))),
        Some(("workload", name)) => (kind.to_string() == "Workload")
            .then(|| format!("principal == {}", uid("Workload", name))),
        Some(_) => None,
        None => {
            (kind.to_string() == "User").then(|| format!("principal == {}", uid("User", selector)))
        }
    };
    let mut parts = Vec::new();
    if let Some(who) = &about.who {
        let who: Vec<String> = who.iter().filter_map(one).collect();
        if who.is_empty() {
            return None;
        }
        parts.push(format!("({})", who.join(" || ")));
    }
    parts.extend(
        about
            .except
            .iter()
            .filter_map(one)
            .map(|it| format!("!({it})")),
    );
    match parts.is_empty() {
        true => Some("true".to_owned()),
        false => Some(parts.join(" && ")),
    }
}

/// An entity as Cedar writes it, whatever is in its name.
fn uid(kind: &str, name: &str) -> String {
    let name = EntityId::new(name);
    match kind.parse::<EntityTypeName>() {
        Ok(kind) => EntityUid::from_type_name_and_id(kind, name).to_string(),
        // Ours are names; nothing is claimed of another.
        Err(_) => "false".to_owned(),
    }
}

/// A text as Cedar writes it: an entity's name is written like any other text.
fn text(text: &str) -> String {
    let uid = uid("Text", text);
    uid.strip_prefix("Text::").unwrap_or(&uid).to_owned()
}
