#include "Verification.h"

#include <charconv>
#include <limits>

namespace matrixos::audit {

namespace {

constexpr int kPage = 500;
constexpr const char *kReplaced = "was changed together with its hash, or is of another database";

std::string name(std::int64_t seq) {
  return "row " + std::to_string(seq);
}

Link givenLink(const Record &record) {
  Link link;
  const std::string seq = givenText(record, "seq");
  std::from_chars(seq.data(), seq.data() + seq.size(), link.seq);
  link.hash = givenText(record, "hash");
  return link;
}

} // namespace

std::optional<Verification::Fault> Verification::run(std::int64_t from) {
  // What comes meanwhile is for the next time.
  if (auto fault = walk(from, store_.tail().value_or(Link{}).seq)) return fault;
  return checkEnd();
}

std::optional<Verification::Fault> Verification::runTo(std::int64_t end) {
  return walk(0, end);
}

std::optional<Verification::Fault> Verification::walk(std::int64_t from, std::int64_t end) {
  last_ = beginning(from);
  readBreaks();
  std::int64_t reached = from > 0 ? from - 1 : std::numeric_limits<std::int64_t>::min();
  for (;;) {
    const std::vector<Row> page = store_.after(reached, kPage);
    if (page.empty()) return std::nullopt;
    for (const Row &row : page) {
      if (row.link.seq > end) return std::nullopt;
      if (auto fault = check(row)) return fault;
      last_ = row.link;
      reached = row.link.seq;
      ++rows_;
    }
  }
}

/// With what may be asked for.
Error Verification::noRow(std::int64_t seq) const {
  const std::string said = "there is no " + name(seq);
  const std::vector<Row> first = store_.after(std::numeric_limits<std::int64_t>::min(), 1);
  const auto last = store_.tail();
  if (first.empty() || !last) return {Status::NotFound, said + ": the log is empty", "NO_RECORD"};
  return {Status::NotFound,
          said + "; \"from\" (--from) takes " + std::to_string(first.front().link.seq + 1) + " to " +
              std::to_string(last->seq + 1),
          "NO_RECORD"};
}

/// What the first row follows.
Link Verification::beginning(std::int64_t from) const {
  if (from > 0) {
    if (const auto before = store_.find(from - 1)) return *before;
    if (from > 1) throw noRow(from - 1);
  }
  const auto cut = store_.latest(kCut);
  return cut ? givenLink(cut->record) : Link{};
}

void Verification::readBreaks() {
  for (const Row &row : store_.all(kBroken))
    breaks_.push_back({givenLink(row.record), row.link.seq});
}

std::optional<Verification::Fault> Verification::check(const Row &row) const {
  const std::int64_t expected = last_.seq + 1, seq = row.link.seq;
  if (seq < expected) return Fault{seq, "does not belong here: the log begins with " + name(expected)};
  if (seq > expected) {
    return Fault{expected, seq == expected + 1 ? "is missing" : "is missing, as are all up to " + name(seq - 1)};
  }
  if (auto fault = checkBreaks(row)) return fault;
  if (chainHash(last_.hash, seq, row.record) == row.link.hash) return std::nullopt;
  return Fault{seq,
               "does not fit its hash: it was changed, or " + name(last_.seq) + " was, together with its own hash"};
}

std::optional<Verification::Fault> Verification::checkBreaks(const Row &row) const {
  for (const Break &broken : breaks_) {
    if (row.link.seq == broken.seq)
      return Fault{row.link.seq, "tells that the log was broken: " + givenText(row.record, "why")};
    // A file that was missing or damaged expects nothing.
    if (row.link.seq > broken.seq || row.link.seq < broken.expected.seq || broken.expected.seq == 0) continue;
    if (row.link.seq > broken.expected.seq) return Fault{row.link.seq, "was not written by the platform"};
    if (row.link.hash != broken.expected.hash) return Fault{row.link.seq, kReplaced};
  }
  return std::nullopt;
}

/// The table has at least what the file says stands last.
std::optional<Verification::Fault> Verification::checkEnd() const {
  std::optional<HeadFile::Content> head;
  try {
    head = head_.read();
  } catch (const Error &e) {
    return Fault{last_.seq, std::string("is the last one by the table alone: ") + e.what()};
  }
  if (!head) return Fault{last_.seq, "is the last one by the table alone: " + head_.path().string() + " is missing"};
  const Link &last = head->last;
  if (last_ == last || last_ == head->next) return std::nullopt;
  const std::optional<Link> there = last.seq == 0 ? Link{} : store_.find(last.seq);
  if (!there) return Fault{last_.seq + 1, "is missing: the log should end with " + name(last.seq)};
  if (*there != last) return Fault{last.seq, kReplaced};
  if (last.seq > last_.seq) return std::nullopt; // it came meanwhile
  return Fault{last.seq + 1, "was not written by the platform"};
}

} // namespace matrixos::audit
