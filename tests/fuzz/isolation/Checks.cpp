#include "fuzz/isolation/Checks.h"

#include "isolation/Frames.h"

#include <stdexcept>

namespace matrixos::isolation::fuzz {

namespace {

template <typename Frame>
void checkOne(std::string_view payload) {
  const std::string again = encode(decode<Frame>(payload));
  if (std::string_view(again).substr(kHeaderSize) != payload) throw std::logic_error("a frame changed on its way");
}

void check(FrameType type, std::string_view payload) {
  switch (type) {
  case FrameType::Hello:
    return checkOne<HelloFrame>(payload);
  case FrameType::Call:
  case FrameType::Use:
    return checkOne<CallFrame>(payload);
  case FrameType::Cancel:
  case FrameType::UseCancel:
    return checkOne<CancelFrame>(payload);
  case FrameType::Credit:
  case FrameType::UseCredit:
    return checkOne<CreditFrame>(payload);
  case FrameType::Answer:
    return checkOne<AnswerFrame>(payload);
  case FrameType::LogLevel:
    return checkOne<LogLevelFrame>(payload);
  case FrameType::Result:
  case FrameType::UseResult:
  case FrameType::UseDone:
    return checkOne<ResultFrame>(payload);
  case FrameType::Item:
  case FrameType::UseItem:
    return checkOne<ItemFrame>(payload);
  case FrameType::Event:
    return checkOne<EventFrame>(payload);
  case FrameType::Provide:
    return checkOne<ProvideFrame>(payload);
  case FrameType::Log:
    return checkOne<LogFrame>(payload);
  case FrameType::Series:
    return checkOne<SeriesFrame>(payload);
  case FrameType::Samples:
    return checkOne<SamplesFrame>(payload);
  case FrameType::Ask:
    return checkOne<AskFrame>(payload);
  case FrameType::Phase:
    return checkOne<PhaseFrame>(payload);
  case FrameType::Section:
    return checkOne<SectionFrame>(payload);
  }
}

} // namespace

void checkFrames(std::string_view bytes) {
  try {
    while (bytes.size() >= kHeaderSize) {
      const FrameHeader header = FrameHeader::read(bytes);
      bytes.remove_prefix(kHeaderSize);
      if (bytes.size() < header.length) return;
      check(header.type, bytes.substr(0, header.length));
      bytes.remove_prefix(header.length);
    }
  } catch (const Error &) {
    // The peer would be cut off here.
  }
}

} // namespace matrixos::isolation::fuzz
