/* SPDX-License-Identifier: MIT */
/*
 * scan_print - what there is to say of a file, kept until the file's turn.
 */
#include "scan_files.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX (1 << 20) /* kept before its turn */

static bool has_printed; /* some file: with --json a comma comes before the next. By whoever has the turn. */

/* ---- Text ---- */

static void text_make_room(struct scan_text *text, size_t bytes)
{
    if (text->room_bytes - text->bytes >= bytes)
        return;
    text->room_bytes = (text->bytes + bytes) * 2;
    text->data = allocate(text->data, text->room_bytes, 1);
}

void scan_print_now(struct scan_file *file)
{
    if (file->text.bytes == 0 || !scan_has_turn(file))
        return;
    progress_hide();
    if (common.json && !file->is_begun)
        fputs(has_printed ? ",\n" : "\n", stdout);
    file->is_begun = has_printed = true;
    (void)fwrite(file->text.data, 1, file->text.bytes, stdout); /* the stream remembers failures */
    file->text.bytes = 0;
    if (ferror(stdout))
        scan_stop();
}

void scan_print(struct scan_file *file, const void *data, size_t bytes)
{
    text_make_room(&file->text, bytes);
    memcpy(file->text.data + file->text.bytes, data, bytes);
    file->text.bytes += bytes;
    if (file->text.bytes < TEXT_BYTES_MAX)
        return;
    scan_take_turn(file);
    scan_print_now(file);
}

void scan_printf(struct scan_file *file, const char *format, ...)
{
    char text[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if ((size_t)length < sizeof(text)) {
        scan_print(file, text, (size_t)length);
        return;
    }
    text_make_room(&file->text, (size_t)length + 1);
    va_start(arguments, format);
    (void)vsnprintf(file->text.data + file->text.bytes, (size_t)length + 1, format, arguments);
    va_end(arguments);
    file->text.bytes += (size_t)length;
}

/* ---- Troubles ---- */

void scan_trouble(struct scan_file *file, const char *format, ...)
{
    va_list arguments;

    file->has_trouble = true;
    if (file->trouble)
        return;
    va_start(arguments, format);
    if (vasprintf(&file->trouble, format, arguments) < 0)
        exit(trouble("out of memory"));
    va_end(arguments);
}

void scan_trouble_error(struct scan_file *file, int code)
{
    const struct verso_error *error = verso_error_last();
    char *shown = name_shown(file->name);

    if (error->offset_bytes == VERSO_OFFSET_NONE)
        scan_trouble(file, "%s: %s: %s (%s)", error->step, shown, verso_error_text(code), verso_error_name(code));
    else
        scan_trouble(file, "%s: %s: at byte %llu: %s (%s)%s%s", error->step, shown,
                     (unsigned long long)error->offset_bytes, verso_error_text(code), verso_error_name(code),
                     error->cause ? ": " : "", error->cause ? verso_error_text(error->cause) : "");
    free(shown);
}

/* ---- JSON ---- */

void scan_json_begin(int schema)
{
    printf("{\n\"schema\": %d,\n\"files\": [", schema);
}

void scan_json_end(const char *key, json_t *object)
{
    fputs("\n]", stdout);
    if (object) {
        printf(",\n\"%s\": ", key);
        json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        json_decref(object);
    }
    fputs("\n}\n", stdout);
}

void scan_print_json(struct scan_file *file, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);

    if (!text)
        exit(trouble("out of memory for JSON"));
    scan_print(file, text, strlen(text));
    free(text);
    json_decref(object);
}

json_t *scan_file_json(const struct scan_file *file)
{
    const struct verso_scan_result *result = &file->result;
    json_t *object = json_object();

    json_set_name(object, "path", file->name);
    json_object_set_new(object, "bytes", json_integer((json_int_t)result->bytes));
    json_object_set_new(object, "partial", json_boolean(file->is_partial));
    if (scan_request.explain)
        scan_explain_json(object, result);
    return object;
}
