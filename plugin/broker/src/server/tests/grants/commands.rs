//! What people do and what happens to the broker, in `random.rs` and `faults.rs`.

use super::model::PEOPLE;

/// One thing that somebody does, or that happens to the broker. Requests and loans are meant by their place, modulo how many
/// there are.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Wait(i64),
    SetWall(i64),
    DiskFull(bool),
    Restart,
    LookForTheUnheard,
    /// The revoker has its turn at AWS.
    CarryOut,
    /// The bundle has a guardrail more, or no more.
    Freeze(bool),
    /// The broker dies while it asks AWS for a session, and another comes up. Only where steps are counted.
    Crash {
        who: usize,
        request: usize,
    },
    Ask {
        who: usize,
        scope: usize,
        minutes: u32,
        glass: bool,
        key: Option<u8>,
        run: Option<u8>,
        keep: bool,
    },
    Approve {
        who: usize,
        request: usize,
        shorter: Option<u32>,
        lender: Option<usize>,
        other_digest: bool,
    },
    Deny {
        who: usize,
        request: usize,
    },
    Withdraw {
        who: usize,
        request: usize,
    },
    Issue {
        who: usize,
        request: usize,
        fault: Option<bool>,
    },
    Extend {
        who: usize,
        request: usize,
        minutes: u32,
    },
    Keep {
        who: usize,
        request: usize,
    },
    Release {
        who: usize,
        request: usize,
    },
    Revoke {
        who: usize,
        request: usize,
    },
    RevokePerson {
        who: usize,
        person: usize,
    },
    Review {
        who: usize,
        request: usize,
    },
    Lend {
        who: usize,
        to: usize,
        begins_s: i64,
        minutes: u32,
    },
    TakeBack {
        who: usize,
        loan: usize,
    },
}

/// Every verb that somebody says or the broker does, and that can be refused or come to nothing.
pub(super) const VERBS: [&str; 17] = [
    "restart",
    "look for the unheard",
    "carry ends out",
    "change the bundle",
    "ask",
    "approve",
    "deny",
    "withdraw",
    "issue",
    "extend",
    "keep",
    "release",
    "revoke",
    "revoke a person",
    "review",
    "lend",
    "take back",
];

impl Command {
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Command::Wait(_) => "wait",
            Command::SetWall(_) => "set the clock",
            Command::DiskFull(_) => "fill the disk",
            Command::Restart => "restart",
            Command::LookForTheUnheard => "look for the unheard",
            Command::CarryOut => "carry ends out",
            Command::Freeze(_) => "change the bundle",
            Command::Crash { .. } => "crash",
            Command::Ask { .. } => "ask",
            Command::Approve { .. } => "approve",
            Command::Deny { .. } => "deny",
            Command::Withdraw { .. } => "withdraw",
            Command::Issue { .. } => "issue",
            Command::Extend { .. } => "extend",
            Command::Keep { .. } => "keep",
            Command::Release { .. } => "release",
            Command::Revoke { .. } => "revoke",
            Command::RevokePerson { .. } => "revoke a person",
            Command::Review { .. } => "review",
            Command::Lend { .. } => "lend",
            Command::TakeBack { .. } => "take back",
        }
    }

    /// The place of who says it, if somebody does.
    pub(super) fn who(&self) -> Option<usize> {
        match self {
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::LookForTheUnheard
            | Command::CarryOut
            | Command::Freeze(_) => None,
            Command::Ask { who, .. }
            | Command::Approve { who, .. }
            | Command::Deny { who, .. }
            | Command::Withdraw { who, .. }
            | Command::Issue { who, .. }
            | Command::Extend { who, .. }
            | Command::Keep { who, .. }
            | Command::Release { who, .. }
            | Command::Revoke { who, .. }
            | Command::RevokePerson { who, .. }
            | Command::Review { who, .. }
            | Command::Lend { who, .. }
            | Command::TakeBack { who, .. }
            | Command::Crash { who, .. } => Some(*who),
        }
    }

    /// The request it is about, counted from the newest.
    pub(super) fn request(&self) -> Option<usize> {
        match self {
            Command::Approve { request, .. }
            | Command::Deny { request, .. }
            | Command::Withdraw { request, .. }
            | Command::Issue { request, .. }
            | Command::Extend { request, .. }
            | Command::Keep { request, .. }
            | Command::Release { request, .. }
            | Command::Revoke { request, .. }
            | Command::Review { request, .. }
            | Command::Crash { request, .. } => Some(*request),
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::LookForTheUnheard
            | Command::CarryOut
            | Command::Freeze(_)
            | Command::Ask { .. }
            | Command::RevokePerson { .. }
            | Command::Lend { .. }
            | Command::TakeBack { .. } => None,
        }
    }

    /// What this one comes after: a verb that leads to where it can succeed.
    pub(super) fn after(&self) -> Option<Command> {
        let (who, request) = (0, 0);
        match self {
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::LookForTheUnheard
            | Command::CarryOut
            | Command::Freeze(_)
            | Command::RevokePerson { .. }
            | Command::Crash { .. }
            | Command::Ask { .. } => None,
            Command::Approve { .. }
            | Command::Deny { .. }
            | Command::Withdraw { .. }
            | Command::Keep { .. }
            | Command::Revoke { .. } => Some(Command::Ask {
                who,
                scope: 0,
                minutes: 60,
                glass: false,
                key: None,
                run: None,
                keep: false,
            }),
            Command::Issue { .. } => Some(Command::Approve {
                who,
                request,
                shorter: None,
                lender: None,
                other_digest: false,
            }),
            Command::Extend { .. } | Command::Release { .. } => Some(Command::Issue {
                who,
                request,
                fault: None,
            }),
            Command::Review { .. } => Some(Command::Release { who, request }),
            Command::TakeBack { .. } => Some(Command::Lend {
                who,
                to: 0,
                begins_s: 0,
                minutes: 60,
            }),
            Command::Lend { .. } => None,
        }
    }

    /// The same verb by everyone who could mean it, of each of the `newest` requests or of the loans there are.
    pub(super) fn alike(&self, newest: usize, loans: usize) -> Vec<Command> {
        let others = move |make: &dyn Fn(usize, usize) -> Command| {
            let pairs =
                (0..newest).flat_map(|request| (0..PEOPLE.len()).map(move |who| (who, request)));
            pairs.map(|(who, request)| make(who, request)).collect()
        };
        // The place past the last person is whoever asked.
        let own = move |make: &dyn Fn(usize, usize) -> Command| {
            let places = 0..newest;
            places.map(|request| make(PEOPLE.len(), request)).collect()
        };
        match self.clone() {
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::LookForTheUnheard
            | Command::CarryOut
            | Command::Freeze(_)
            | Command::Crash { .. }
            | Command::RevokePerson { .. } => vec![self.clone()],
            Command::Ask {
                scope,
                minutes,
                glass,
                key,
                run,
                keep,
                ..
            } => (0..PEOPLE.len())
                .map(|who| Command::Ask {
                    who,
                    scope,
                    minutes,
                    glass,
                    key,
                    run,
                    keep,
                })
                .collect(),
            Command::Approve {
                shorter, lender, ..
            } => others(&|who, request| Command::Approve {
                who,
                request,
                shorter,
                lender,
                other_digest: false,
            }),
            Command::Deny { .. } => others(&|who, request| Command::Deny { who, request }),
            Command::Withdraw { .. } => own(&|who, request| Command::Withdraw { who, request }),
            Command::Issue { fault, .. } => own(&|who, request| Command::Issue {
                who,
                request,
                fault,
            }),
            Command::Extend { .. } => [30, 60, 120, 240, 480, 720]
                .into_iter()
                .flat_map(|minutes| -> Vec<Command> {
                    own(&|who, request| Command::Extend {
                        who,
                        request,
                        minutes,
                    })
                })
                .collect(),
            Command::Keep { .. } => own(&|who, request| Command::Keep { who, request }),
            Command::Release { .. } => own(&|who, request| Command::Release { who, request }),
            Command::Revoke { .. } => others(&|who, request| Command::Revoke { who, request }),
            Command::Review { .. } => others(&|who, request| Command::Review { who, request }),
            Command::Lend {
                begins_s, minutes, ..
            } => (0..PEOPLE.len().pow(2))
                .map(|pair| Command::Lend {
                    who: pair / PEOPLE.len(),
                    to: pair % PEOPLE.len(),
                    begins_s,
                    minutes,
                })
                .collect(),
            Command::TakeBack { .. } => (0..loans)
                .flat_map(|loan| (0..PEOPLE.len()).map(move |who| Command::TakeBack { who, loan }))
                .collect(),
        }
    }
}
