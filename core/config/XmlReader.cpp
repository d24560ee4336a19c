#include "config/XmlReader.h"

#include "config/FileReader.h"
#include "config/Text.h"

#include <Poco/SAX/Attributes.h>
#include <Poco/SAX/DefaultHandler.h>
#include <Poco/SAX/Locator.h>
#include <Poco/SAX/SAXException.h>
#include <Poco/SAX/SAXParser.h>

#include <algorithm>
#include <string>

namespace matrixos::config {

namespace {

constexpr std::string_view kRoot = "matrixos";
constexpr std::string_view kShape = "<matrixos><section><key>value</key></section></matrixos>";

/// White space that goes over a line end reads as one blank, so that a long list can be broken into lines.
std::string foldLines(std::string_view text) {
  std::string out;
  for (text = trim(text); !text.empty();) {
    const std::size_t blank = std::min(text.find_first_of(" \t\r\n"), text.size());
    out += text.substr(0, blank);
    text.remove_prefix(blank);
    const std::size_t word = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    const std::string_view gap = text.substr(0, word);
    out += gap.find('\n') != std::string_view::npos ? " " : gap;
    text.remove_prefix(word);
  }
  return out;
}

/// Turns the parser's events into sections and values. It never throws through the parser, which is C.
class Handler : public Poco::XML::DefaultHandler {
public:
  explicit Handler(FileReader &reader) : reader_(reader) {}

  void setDocumentLocator(const Poco::XML::Locator *locator) override { locator_ = locator; }

  void startElement(const Poco::XML::XMLString &, const Poco::XML::XMLString &, const Poco::XML::XMLString &name,
                    const Poco::XML::Attributes &attributes) override {
    ++depth_;
    if (refused_ || reader_.isHopeless()) return;
    if (attributes.getLength() != 0) {
      reader_.addProblem(line(), "<" + name + "> has the attribute " + quote(attributes.getQName(0)) +
                                     "; there are no attributes, write " + std::string(kShape));
    }
    switch (depth_) {
    case 1:
      return startRoot(name);
    case 2:
      return reader_.beginSection(name, line());
    case 3:
      key_ = name;
      text_.clear();
      keyLine_ = line();
      return;
    case 4:
      reader_.addProblem(line(),
                         "<" + name + "> stands inside the value of " + quote(key_) + "; write " + std::string(kShape));
      return;
    default:
      return;
    }
  }

  void endElement(const Poco::XML::XMLString &, const Poco::XML::XMLString &, const Poco::XML::XMLString &) override {
    if (depth_ == 3 && !refused_ && !reader_.isHopeless()) endValue();
    --depth_;
  }

  void characters(const Poco::XML::XMLChar text[], int start, int length) override {
    const std::string_view piece(text + start, static_cast<std::size_t>(length));
    if (refused_ || reader_.isHopeless() || depth_ > 3) return;
    if (depth_ == 3)
      text_ += piece;
    else if (!trim(piece).empty()) {
      reader_.addProblem(line(),
                         "the text " + quote(trim(piece)) + " stands outside of a key; write " + std::string(kShape));
    }
  }

private:
  std::size_t line() const { return locator_ != nullptr ? static_cast<std::size_t>(locator_->getLineNumber()) : 0; }

  void startRoot(const std::string &name) {
    if (name == kRoot) return;
    refused_ = true;
    reader_.addProblem(line(), "the document is <" + name + ">; write " + std::string(kShape));
  }

  void endValue() {
    const std::string value = foldLines(text_);
    if (const auto bad = findBadCharacter(value)) {
      reader_.addProblem(keyLine_, "the value of " + quote(key_) + " holds " + *bad + "; write plain UTF-8 text");
      return;
    }
    reader_.addValue(key_, value, keyLine_);
  }

  FileReader &reader_;
  const Poco::XML::Locator *locator_ = nullptr;
  unsigned depth_ = 0;
  bool refused_ = false;
  std::string key_;
  std::string text_;
  std::size_t keyLine_ = 0;
};

std::size_t lineOf(std::string_view text, std::size_t at) {
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

/// "Tag mismatch in line 3 column 2" without the place, which stands in front already.
std::string sentenceOf(const std::string &message) {
  std::string text = message.substr(0, message.find(" in line "));
  if (!text.empty() && text.front() >= 'A' && text.front() <= 'Z')
    text.front() = static_cast<char>(text.front() - 'A' + 'a');
  return text;
}

/// What the XML parser is not trusted with. True when there was something.
bool refuseBeforehand(std::string_view text, FileReader &reader) {
  // Entities could name files (XXE) or grow without end (billion laughs), and they need a document type to exist. It
  // is looked for in the bytes, since the encoding is pinned below; in a comment it is refused too, harmlessly.
  if (const std::size_t at = text.find("<!DOCTYPE"); at != std::string_view::npos) {
    reader.addProblem(lineOf(text, at), "document types and entities are refused; remove <!DOCTYPE …>");
    return true;
  }
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    ++number;
    if (const auto bad = findBadCharacter(trim(rest.substr(0, end)))) {
      reader.addProblem(number, "the line holds " + *bad + "; write plain UTF-8 text");
      return true;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

} // namespace

void readXml(std::string_view text, const std::string &file, RawConfig &into) {
  FileReader reader(file, into);
  if (refuseBeforehand(text, reader)) return;
  Handler handler(reader);
  Poco::XML::SAXParser parser;
  parser.setFeature(Poco::XML::XMLReader::FEATURE_NAMESPACES, false);
  parser.setFeature(Poco::XML::XMLReader::FEATURE_NAMESPACE_PREFIXES, true);
  // Whatever the document claims, its bytes were checked as UTF-8.
  parser.setEncoding("UTF-8");
  parser.setContentHandler(&handler);
  try {
    parser.parseMemoryNP(text.data(), text.size());
  } catch (const Poco::XML::SAXParseException &e) {
    reader.addProblem(static_cast<std::size_t>(std::max(e.getLineNumber(), 0)),
                      "malformed XML: " + sentenceOf(e.message()));
  } catch (const Poco::Exception &e) {
    reader.addProblem(0, "malformed XML: " + e.displayText());
  }
}

} // namespace matrixos::config
