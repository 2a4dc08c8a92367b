import Testing

/// Tests that compute for seconds without a pause. One at a time, so that a thread of the cooperative pool is always free for those that
/// wait for answers.
@Suite(.serialized) enum ThoroughJournalTests {}
