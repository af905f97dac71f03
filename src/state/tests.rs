use super::*;
use crate::path::Path;

mod algebra;
mod carry;
mod each_op;
mod merging;

/// A config, the ops done to it, and what should come of that.
struct Given {
    before: State,
    ops: Vec<Op>,
}

fn given(config: Value) -> Given {
    Given { before: State::new(config), ops: Vec::new() }
}

impl Given {
    fn op(mut self, op: Op) -> Given {
        self.ops.push(op);
        self
    }

    fn apply(&self) -> (State, Result<Applied, Refusal>) {
        let mut state = self.before.clone();
        let result = state.apply(&self.ops);
        assert_eq!(self.before.check(&self.ops).err(), result.clone().err(), "check says what apply says");
        (state, result)
    }

    #[track_caller]
    fn makes(self, expected: Value) -> Applied {
        let (after, result) = self.apply();
        let applied = result.unwrap();
        assert_eq!(after.root(), &expected);
        assert_eq!(applied.results.len(), self.ops.len());
        // Whatever was done can be found again by comparing.
        let mut again = self.before.clone();
        again.apply(&self.before.diff(&after)).unwrap();
        assert_eq!(again.root(), &expected);
        applied
    }

    #[track_caller]
    fn changes_nothing(self) {
        let (after, result) = self.apply();
        assert!(!result.unwrap().changed);
        assert!(identical(after.root(), self.before.root()));
    }

    #[track_caller]
    fn refuses_with(self, message: &str) -> Refusal {
        let (after, result) = self.apply();
        let refusal = result.unwrap_err();
        assert_eq!(refusal.to_string(), message);
        assert!(identical(after.root(), self.before.root()), "a refusal leaves the state as it was");
        refusal
    }
}

/// Whether nothing was even copied: every container is the same in memory.
fn identical(a: &Value, b: &Value) -> bool {
    a.same(b)
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}
