#include "Stage.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <utility>

namespace kit {

namespace {

const char *nameOf(Fault::Kind kind) {
  constexpr const char *kNames[] = {"nothing",       "client cut",      "instance cut",
                                    "client leaves", "client's pieces", "instance's pieces"};
  return kNames[static_cast<int>(kind)];
}

} // namespace

Stage::Stage()
    : fixture_(
          [](auto &options) {
            options.server.loops = 1;
            options.server.timeouts.upstreamIdle = 60s; // nothing ends by itself
            // A machine that tracks connections may drop the first packets of one when it has seen too many.
            options.server.timeouts.connect = 15s;
          },
          false) {
  listener_.listen();
  listener_.setNonBlocking();
  fixture_.instance("alice", "running", listener_.port());
}

bool Stage::until(const std::function<bool()> &holds) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  for (int turn = 0;; ++turn) {
    acceptLines();
    for (auto &line : lines_) {
      line->end.step();
      hear(*line);
    }
    if (client_) clientStep();
    if (holds()) return true;
    if (std::chrono::steady_clock::now() > end) return false;
    if (turn < 100)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(100us);
  }
}

void Stage::acceptLines() {
  for (matrixos::FileDescriptor fd = listener_.accept(); fd; fd = listener_.accept())
    lines_.push_back(std::make_unique<Line>(fd.release()));
}

std::string Stage::playDigits() const {
  const std::string digits = std::to_string(plays_ % 1'000'000);
  return std::string(6 - digits.size(), '0') + digits;
}

/// The instance's side: answers what has arrived whole.
void Stage::hear(Line &line) {
  while (!line.tunnel && !line.end.heard().empty()) {
    const std::size_t end = endOfMessage(line.end.heard(), false);
    if (end == std::string::npos) return;
    // The next request may be on its way when a connection ends behind a whole answer, but not when inside of one.
    if (line.spoiled) REQUIRE(fault_.at == answersStart(cutIndex_) + dialogue_->answers[cutIndex_].size());
    const std::string &heard = line.end.heard();
    if (heard.compare(heard.find('?') + 1, 6, playDigits()) != 0) { // late, of a client that was cut off
      line.end.forget(end);
      continue;
    }
    const auto index = static_cast<std::size_t>(heard[heard.find('/') + 1] - '0');
    REQUIRE(index < arrived_.size());
    ++arrived_[index];
    CHECK(payloadOf(heard.substr(0, end)) ==
          payloadOf(
              std::string_view(dialogue_->requests[index]).substr(0, endOfMessage(dialogue_->requests[index], false))));
    line.end.forget(end);
    if (!line.spoiled) answer(line, index);
    line.fresh = false;
  }
  if (line.tunnel) {
    framesHeard_ += line.end.heard();
    line.end.forget(line.end.heard().size());
    if (line.end.over()) line.end.close();
  }
}

std::size_t Stage::answersStart(std::size_t index) const {
  std::size_t start = 0;
  for (std::size_t i = 0; i < index; ++i)
    start += dialogue_->answers[i].size();
  return start;
}

void Stage::answer(Line &line, std::size_t index) {
  const std::string &text = dialogue_->answers[index];
  const std::size_t start = answersStart(index);
  line.tunnel = dialogue_->webSocket;
  const bool here = fault_.at >= start && fault_.at <= start + text.size() && !cutDone_;
  switch (fault_.kind) {
  case Fault::Kind::Upstream:
    if (!here) break;
    cutDone_ = line.spoiled = true;
    cutLineWasFresh_ = line.fresh;
    cutIndex_ = index;
    line.end.say(std::string_view(text).substr(0, fault_.at - start));
    line.end.cutAfter(fault_.cut, fault_.patient);
    return line.end.step();
  case Fault::Kind::ClientLeaves:
    if (!here) break;
    cutDone_ = true;
    line.end.say(std::string_view(text).substr(0, fault_.at - start));
    heldBack_ = text.substr(fault_.at - start);
    heldLine_ = &line;
    return line.end.step();
  case Fault::Kind::UpstreamPieces:
    line.end.say(text, here ? fault_.at - start : SIZE_MAX, fault_.piece);
    if (dialogue_->untilClose) line.end.cutAfter(Cut::Close, false);
    return line.end.step();
  default:
    break;
  }
  line.end.say(text);
  if (dialogue_->untilClose) line.end.cutAfter(Cut::Close, false);
  line.end.step();
}

void Stage::clientStep() {
  client_->step();
  if (heldLine_ != nullptr && heldLine_->end.saidAll() && (!fault_.patient || heldLine_->end.consumed())) {
    client_->cut(fault_.cut);
    Line *line = std::exchange(heldLine_, nullptr);
    line->end.say(heldBack_);
    if (dialogue_->untilClose) line->end.cutAfter(Cut::Close, false);
  }
}

/// Splits what the client heard.
std::vector<std::string> Stage::takeAnswers() {
  upgraded_ = false;
  interims_ = 0;
  std::vector<std::string> out;
  std::string_view text = client_->heard();
  while (!text.empty() && !upgraded_) {
    const std::size_t end = endOfMessage(text, true, client_->over() && !client_->wasReset() && client_->fd() >= 0);
    if (end == std::string_view::npos) break;
    const std::string_view message = text.substr(0, end);
    upgraded_ = message.substr(9, 3) == "101";
    if (message[9] == '1' && !upgraded_)
      ++interims_;
    else
      out.emplace_back(message);
    text.remove_prefix(end);
  }
  rest_ = text;
  return out;
}

/// The client has what it can get.
bool Stage::clientIsDone() {
  if (client_->over()) return true;
  if (takeAnswers().size() < dialogue_->answers.size() || heldLine_ != nullptr || !client_->saidAll()) return false;
  // These have to be ended by the proxy.
  if (dialogue_->oldClient || fault_.kind == Fault::Kind::Client) return false;
  if (!upgraded_) return true;
  const std::string &answer = dialogue_->answers[0];
  const bool allFrames = rest_.size() == answer.size() - endOfMessage(answer, true);
  if (allFrames && !client_->isCut()) client_->cut(Cut::HalfClose); // then the instance ends, too
  return false;
}

std::string Stage::expectedPayload(std::size_t index) const {
  std::string_view text = dialogue_->answers[index];
  for (;;) {
    const std::size_t end = endOfMessage(text, true, true);
    const bool interim = text[9] == '1';
    if (!interim) return payloadOf(text.substr(0, end));
    text.remove_prefix(end);
  }
}

void Stage::play(const Dialogue &dialogue, const Fault &fault) {
  CAPTURE(dialogue.name);
  const std::string kind = nameOf(fault.kind), cut = nameOf(fault.cut);
  CAPTURE(kind);
  CAPTURE(cut);
  CAPTURE(fault.at);
  CAPTURE(fault.piece);
  CAPTURE(fault.patient);
  ++plays_;
  dialogue_ = &dialogue;
  fault_ = fault;
  arrived_.assign(dialogue.requests.size(), 0);
  framesHeard_.clear();
  cutDone_ = cutLineWasFresh_ = upgraded_ = false;
  cutIndex_ = interims_ = 0;
  heldLine_ = nullptr;
  client_ = std::make_unique<End>(matrixos::test::connectTo(fixture_.port).release());
  REQUIRE(until([&] { return fixture_.proxy->connections() == 1; }));
  std::string said = dialogue.said();
  for (std::size_t at = said.find("?000000 "); at != std::string::npos; at = said.find("?000000 ", at))
    said.replace(at + 1, 6, playDigits());
  if (fault.kind == Fault::Kind::Client) {
    client_->say(std::string_view(said).substr(0, fault.at));
    client_->cutAfter(fault.cut, fault.patient);
  } else if (fault.kind == Fault::Kind::ClientPieces) {
    client_->say(said, fault.at, fault.piece);
  } else {
    client_->say(said);
  }

  REQUIRE(until([&] { return clientIsDone(); }));
  got_ = takeAnswers();
  const bool broken = client_->wasReset();
  CAPTURE(client_->heard());
  CAPTURE(broken);
  client_->close();
  REQUIRE(until([&] { return fixture_.proxy->connections() == 0; }));
  finishLines();
  for (const int times : arrived_)
    CHECK(times <= 2);
  switch (fault.kind) {
  case Fault::Kind::Client:
    return checkClientCut(got_.size());
  case Fault::Kind::Upstream:
    return checkUpstreamCut(got_.size());
  case Fault::Kind::ClientLeaves:
    if (fault.cut == Cut::HalfClose) checkWhole(got_.size());
    return;
  default:
    return checkWhole(got_.size());
  }
}

/// What is spoiled, or has half a request on it, is closed by the proxy; the rest may be used again.
void Stage::finishLines() {
  for (auto &line : lines_) {
    if (!line->spoiled && !line->tunnel && line->end.heard().empty() && !line->end.over()) continue;
    REQUIRE(until([&] { return line->end.over(); }));
  }
  std::erase_if(lines_, [](const auto &line) { return line->end.over(); });
}

void Stage::checkWhole(std::size_t answers) {
  REQUIRE(answers == dialogue_->answers.size());
  for (std::size_t i = 0; i < answers; ++i) {
    CHECK(arrived_[i] == 1);
    if (dialogue_->webSocket) {
      CHECK(got_[i].substr(9, 3) == "101");
      CHECK(dialogue_->answers[i].ends_with(rest_));
      CHECK_FALSE(rest_.empty());
      CHECK(dialogue_->requests[i].ends_with(framesHeard_));
      CHECK_FALSE(framesHeard_.empty());
    } else {
      CHECK(got_[i].substr(9, 3) == "200");
      CHECK(payloadOf(got_[i]) == expectedPayload(i));
    }
  }
}

void Stage::checkClientCut(std::size_t answers) {
  // Whole requests before the cut.
  std::size_t whole = 0, at = 0;
  while (whole < dialogue_->requests.size()) {
    const std::string &request = dialogue_->requests[whole];
    if (at + endOfMessage(request, false) > fault_.at) break;
    at += request.size();
    ++whole;
  }
  for (std::size_t i = whole; i < arrived_.size(); ++i)
    CHECK(arrived_[i] == 0);
  const std::string frames =
      dialogue_->webSocket ? dialogue_->requests[0].substr(endOfMessage(dialogue_->requests[0], false)) : "";
  CHECK(frames.starts_with(framesHeard_));
  if (fault_.cut != Cut::HalfClose) return;
  REQUIRE(answers == whole);
  for (std::size_t i = 0; i < whole; ++i) {
    CHECK(arrived_[i] == 1);
    if (!dialogue_->webSocket) CHECK(payloadOf(got_[i]) == expectedPayload(i));
  }
  if (dialogue_->webSocket && whole == 1)
    CHECK(framesHeard_.size() + dialogue_->requests[0].size() - frames.size() == fault_.at);
}

void Stage::checkUpstreamCut(std::size_t answers) {
  const std::string &text = dialogue_->answers[cutIndex_];
  const std::size_t offset = fault_.at - answersStart(cutIndex_);
  std::size_t finalHead = 0, interims = 0;
  while (text[finalHead + 9] == '1' && text.substr(finalHead + 9, 3) != "101") {
    finalHead += endOfMessage(std::string_view(text).substr(finalHead), true);
    if (offset >= finalHead) ++interims;
  }
  finalHead = text.find("\r\n\r\n", finalHead) + 4;
  const bool ended = fault_.cut != Cut::Reset;
  bool brokenOff = false;
  for (std::size_t i = 0; i < dialogue_->answers.size(); ++i) {
    CAPTURE(i);
    if (brokenOff) break;
    if (i != cutIndex_) {
      REQUIRE(answers > i);
      CHECK(got_[i].substr(9, 3) == "200");
      CHECK(payloadOf(got_[i]) == expectedPayload(i));
    } else if (offset < finalHead) {
      // Nothing of an answer that anybody could use.
      REQUIRE(answers > i);
      const bool again = offset == 0 && !cutLineWasFresh_ && dialogue_->mayBeSentTwice;
      CHECK(arrived_[i] == (again ? 2 : 1));
      CHECK(got_[i].substr(9, 3) == (again ? dialogue_->webSocket ? "101" : "200" : "502"));
      if (!again) CHECK(interims_ == interims);
    } else if (dialogue_->webSocket) {
      REQUIRE(answers == 1);
      CHECK(text.substr(finalHead).starts_with(rest_));
      if (fault_.cut != Cut::Reset) CHECK(rest_.size() == offset - finalHead);
    } else if (dialogue_->untilClose && ended) {
      REQUIRE(answers > i);
      CHECK(payloadOf(got_[i]) == text.substr(finalHead, offset - finalHead));
    } else if (offset < text.size() || dialogue_->untilClose) {
      CHECK(answers == i); // it can be told from a whole one
      CHECK(arrived_[i] == 1);
      brokenOff = true;
    } else {
      REQUIRE(answers > i);
      CHECK(payloadOf(got_[i]) == expectedPayload(i));
    }
  }
}

void Stage::rest() {
  client_.reset();
  for (auto &line : lines_)
    line->end.close();
  lines_.clear();
  fixture_.proxy->collect();
}

} // namespace kit
