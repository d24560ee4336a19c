/*
 * matrixos/abi/command.h: commands of matrixosctl, declared by a plugin.
 *
 * A command is data: its words, what it takes, the route of the API that it calls and how the answer is shown. From
 * that matrixosctl makes help, completion, the manual page and exit codes; it also knows the commands of plugins that
 * are installed and not running. A plugin has no code in matrixosctl.
 *
 *   static const mos_command_option options[] = {
 *       {"limit", "N", "at most so many", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
 *   static const mos_command commands[] = {
 *       {"hooks list", "", "What is to be sent", "GET", "/hooks", NULL,
 *        "ID=id TARGET=target AGE=createdAt:ago", NULL, NULL, options, 1, 0},
 *       {"hooks drop", "ID", "Forgets one", "DELETE", "/hooks/{ID}", NULL, NULL, "{ID} is forgotten",
 *        "This forgets {ID} for good.", NULL, 0, 0}};
 */
#ifndef MATRIXOS_ABI_COMMAND_H
#define MATRIXOS_ABI_COMMAND_H

#include "base.h"

MOS_BEGIN_C

/* Where an option's value goes, under the option's name in camelCase ("older-than" is olderThan). */
#define MOS_OPTION_QUERY UINT32_C(1) /* into the query of the path */
#define MOS_OPTION_BODY UINT32_C(2)  /* into the JSON body */
#define MOS_OPTION_REQUIRED UINT32_C(4)
#define MOS_OPTION_NUMBER UINT32_C(8) /* is a number; a flag is a bool, everything else text */

/* An option of a command. Frozen. */
typedef struct mos_command_option {
  const char *name;     /* without the dashes */
  const char *argument; /* what stands for the value in the help; NULL or "" for a flag */
  const char *help;
  uint32_t flags;
  uint32_t reserved;
} mos_command_option;
MOS_PIN(mos_command_option, name, 0);
MOS_PIN(mos_command_option, argument, 8);
MOS_PIN(mos_command_option, help, 16);
MOS_PIN(mos_command_option, flags, 24);
MOS_PIN_SIZE(mos_command_option, 32);

/* Flags of a command. */
#define MOS_COMMAND_LONG UINT32_C(1)   /* may take as long as it takes: no deadline of the client's */
#define MOS_COMMAND_STREAM UINT32_C(2) /* the answer is shown as it comes, line by line */

/*
 * One command. In path, body, done and confirm {NAME} stands for an argument or the value of an option, in done also
 * for a member of the answer. Frozen.
 */
typedef struct mos_command {
  const char *words;     /* "hooks drop": one or two */
  const char *arguments; /* "HANDLE", "ID [FILE]"; one in brackets may be left out; "" for none */
  const char *help;      /* one sentence */
  const char *method;
  const char *path; /* "/hooks/{ID}"; values are percent-encoded */
  const char *body; /* a JSON object, "{\"handle\": \"{HANDLE}\"}", to which the options' values are added; or NULL */
  const char *columns; /* of an answer that is an array: TITLE=member, by blanks (_ in a title is a blank); :ago shows a
                          time's age. NULL: the members of the answer are shown, one a line, unless done is there */
  const char *done;    /* a sentence about what happened */
  const char *confirm; /* what it is about to do: the caller types the first argument, or gives --yes */
  const mos_command_option *options;
  uint32_t options_count;
  uint32_t flags;
} mos_command;
MOS_PIN(mos_command, words, 0);
MOS_PIN(mos_command, arguments, 8);
MOS_PIN(mos_command, help, 16);
MOS_PIN(mos_command, method, 24);
MOS_PIN(mos_command, path, 32);
MOS_PIN(mos_command, body, 40);
MOS_PIN(mos_command, columns, 48);
MOS_PIN(mos_command, done, 56);
MOS_PIN(mos_command, confirm, 64);
MOS_PIN(mos_command, options, 72);
MOS_PIN(mos_command, options_count, 80);
MOS_PIN(mos_command, flags, 84);
MOS_PIN_SIZE(mos_command, 88);

MOS_END_C

#endif
