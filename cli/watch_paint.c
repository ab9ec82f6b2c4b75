/* SPDX-License-Identifier: MIT */
/* watch_paint - the only file that knows colours, and how cells become characters. */
#include "watch_paint.h"

#include <langinfo.h>
#include <string.h>
#include <wchar.h>

/* The nearest of the 256 colours to Okabe and Ito's, each at least 3:1 against the ground; half way to the ground, for
 * cells of which less than half is in the state; and that of terminals with eight, for letters. */
static const struct {
    short full;
    short faint;
    short basic;
} palette[HUE_COUNT] = {
    [HUE_NONE] = { -1, -1, COLOR_WHITE },      [HUE_GROUND] = { 235, 235, COLOR_WHITE },
    [HUE_SKY] = { 117, 67, COLOR_CYAN },       [HUE_BLUE] = { 32, 24, COLOR_BLUE },
    [HUE_GREEN] = { 36, 29, COLOR_GREEN },     [HUE_YELLOW] = { 227, 143, COLOR_YELLOW },
    [HUE_ORANGE] = { 214, 136, COLOR_YELLOW }, [HUE_VERMILION] = { 166, 130, COLOR_RED },
    [HUE_PURPLE] = { 175, 96, COLOR_MAGENTA }, [HUE_GREY] = { 250, 244, COLOR_WHITE },
};

#define CURSOR_COLOR 231
#define SHADES (HUE_COUNT * 2 + 1) /* full, faint, and the cursor's white */
#define SHADE_CURSOR (HUE_COUNT * 2)
#define PICTURE_PAIRS (SHADES * SHADES)

/* ---- Colours ---- */

void paint_start(struct paint *paint, bool wants_color)
{
    memset(paint, 0, sizeof(*paint));
    paint->cursor_column = -1;
    paint->can_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!wants_color || !has_colors() || start_color() == ERR)
        return;
    (void)use_default_colors(); /* a terminal without them keeps its black */
    paint->has_color = true;
    paint->has_picture = paint->can_utf8 && COLORS >= 256 && COLOR_PAIRS > PICTURE_PAIRS + HUE_COUNT;
    for (int hue = 1; hue < HUE_COUNT; hue++)
        (void)init_pair((short)hue, COLORS >= 256 ? palette[hue].full : palette[hue].basic, -1);
}

bool paint_by_letters(const struct paint *paint)
{
    return paint->letters || !paint->has_picture;
}

static short color_of(int shade)
{
    if (shade == SHADE_CURSOR)
        return CURSOR_COLOR;
    return shade < HUE_COUNT ? palette[shade].full : palette[shade - HUE_COUNT].faint;
}

/* A pair of two shades, made when first used: all of them would be more than some terminals have. */
static short pair_of(int front, int back)
{
    static bool made[PICTURE_PAIRS];
    int index = front * SHADES + back;
    short pair = (short)(HUE_COUNT + index);

    if (!made[index]) {
        (void)init_pair(pair, color_of(front), color_of(back));
        made[index] = true;
    }
    return pair;
}

static int shade_of(const struct cell *cell)
{
    enum hue hue = cell_kinds[cell->kind].hue;

    return (int)hue + (cell->share < 128 ? HUE_COUNT : 0);
}

/* ---- Characters ---- */

static void put(int line, int column, const wchar_t *character, attr_t attributes, short pair)
{
    cchar_t complex;

    if (setcchar(&complex, character, attributes, pair, NULL) != ERR)
        (void)mvadd_wch(line, column, &complex); /* fails in the corner alone, after having drawn */
}

static void put_shades(int line, int column, const wchar_t *character, int front, int back)
{
    put(line, column, character, A_NORMAL, pair_of(front, back));
}

static void put_letter(const struct paint *paint, int line, int column, char letter, enum hue hue, bool marked)
{
    wchar_t character[2] = { (wchar_t)letter, 0 };
    attr_t attributes = marked ? A_REVERSE | A_BOLD : A_NORMAL;

    put(line, column, character, attributes, paint->has_color && hue != HUE_GROUND ? (short)hue : 0);
}

/* ---- Strips ---- */

int paint_cells_per_column(const struct paint *paint, int height)
{
    return paint_by_letters(paint) ? height : height * 2;
}

static void put_halves(struct paint *paint, int line, int column, const struct cell *upper, const struct cell *lower)
{
    int up = shade_of(upper), down = shade_of(lower);

    if (column == paint->cursor_column)
        put_shades(line, paint->left + column, L"┃", SHADE_CURSOR, up);
    else if (up == down)
        put_shades(line, paint->left + column, L" ", SHADE_CURSOR, up);
    else
        put_shades(line, paint->left + column, L"▀", up, down);
}

static void put_cell_letter(struct paint *paint, int line, int column, const struct cell *cell)
{
    put_letter(paint, line, paint->left + column, cell_letter(cell), cell_kinds[cell->kind].hue,
               column == paint->cursor_column);
}

void paint_strip(struct paint *paint, int top, int height, int width, const struct cell *cells)
{
    int each = paint_cells_per_column(paint, height);

    for (int column = 0; column < width; column++) {
        const struct cell *at = &cells[column * each];

        for (int i = 0; i < each; i++)
            paint->used[at[i].kind] = true;
        for (int line = 0; line < height; line++)
            if (paint_by_letters(paint))
                put_cell_letter(paint, top + line, column, &at[line]);
            else
                put_halves(paint, top + line, column, &at[line * 2], &at[line * 2 + 1]);
    }
}

/* ---- Skylines ---- */

static const wchar_t *const bars[] = { L" ", L"▁", L"▂", L"▃", L"▄", L"▅", L"▆", L"▇", L"█" };

static bool is_there(const struct cell *cell)
{
    return cell_kinds[cell->kind].hue != HUE_GROUND && cell->kind != KIND_NONE;
}

/* How many eighths of a line @from_bottom lines up are filled: even the lowest place shows. */
static int eighths(const struct cell *cell, int height, int from_bottom)
{
    int all = is_there(cell) ? 1 + cell->height * (height * 8 - 1) / 255 : 0;
    int here = all - from_bottom * 8;

    return here < 0 ? 0 : here > 8 ? 8 : here;
}

static void put_bar(struct paint *paint, int line, int column, const struct cell *cell, int filled)
{
    int front = shade_of(cell), back = cell->kind == KIND_NONE ? HUE_NONE : HUE_GROUND;

    if (column == paint->cursor_column)
        put_shades(line, paint->left + column, L"┃", SHADE_CURSOR, filled >= 4 ? front : back);
    else
        put_shades(line, paint->left + column, bars[filled], filled ? front : back, back);
}

/* Without half blocks the skyline stands on one line as digits, 0 lowest to 9 highest, above a line of letters. */
static void put_digits(struct paint *paint, int line, int column, const struct cell *cell)
{
    char digit = is_there(cell) ? (char)('0' + cell->height * 9 / 255) : ' ';

    put_letter(paint, line, paint->left + column, digit, HUE_GROUND, column == paint->cursor_column);
}

void paint_skyline(struct paint *paint, int top, int height, int width, const struct cell *cells)
{
    for (int column = 0; column < width; column++) {
        const struct cell *cell = &cells[column];

        paint->used[cell->kind] = true;
        for (int line = 0; line < height; line++)
            if (!paint_by_letters(paint))
                put_bar(paint, top + line, column, cell, eighths(cell, height, height - 1 - line));
            else if (line + 1 < height)
                put_digits(paint, top + line, column, cell);
            else
                put_cell_letter(paint, top + line, column, cell);
    }
}

void paint_sparkline(struct paint *paint, int line, int column, const uint8_t *heights, size_t count, enum hue hue)
{
    for (size_t i = 0; i < count; i++) {
        wchar_t digit[2] = { heights[i] ? (wchar_t)(L'0' + heights[i]) : L'.', 0 };

        put(line, column + (int)i, paint->can_utf8 ? bars[heights[i]] : digit, A_NORMAL,
            paint->has_color ? (short)hue : 0);
    }
}

/* ---- Text ---- */

static attr_t attributes_of(enum tone tone)
{
    switch (tone) {
    case TONE_QUIET:
        return A_DIM;
    case TONE_STRONG:
        return A_BOLD;
    case TONE_TITLE:
        return A_REVERSE;
    case TONE_ALERT:
        return A_BOLD | A_REVERSE;
    default:
        return A_NORMAL;
    }
}

/* The next character of a text; what is no character here comes as a question mark. */
static size_t next_character(const char *text, size_t left, mbstate_t *state, wchar_t *out_character)
{
    size_t bytes = mbrtowc(out_character, text, left, state);

    if (bytes > 0 && bytes <= left && wcwidth(*out_character) >= 0)
        return bytes;
    memset(state, 0, sizeof(*state));
    *out_character = L'?';
    return bytes > 0 && bytes <= left ? bytes : 1;
}

static int text_width(const char *text)
{
    size_t left = strlen(text);
    mbstate_t state = { 0 };
    int width = 0;

    while (left > 0) {
        wchar_t character;
        size_t bytes = next_character(text, left, &state, &character);

        width += wcwidth(character);
        text += bytes;
        left -= bytes;
    }
    return width;
}

int paint_text(const struct paint *paint, int line, int column, int end, enum tone tone, const char *text)
{
    const wchar_t *ellipsis = paint->can_utf8 ? L"…" : L">";
    int stop = text_width(text) > end - column ? end - 1 : end;
    size_t left = strlen(text);
    mbstate_t state = { 0 };

    while (left > 0 && column < end) {
        wchar_t character[2] = { 0 };
        size_t bytes = next_character(text, left, &state, character);

        if (column + wcwidth(character[0]) > stop) {
            put(line, column, ellipsis, attributes_of(tone), 0);
            return column + 1;
        }
        put(line, column, character, attributes_of(tone), 0);
        column += wcwidth(character[0]);
        text += bytes;
        left -= bytes;
    }
    return column;
}

static bool is_blank(int line, int column)
{
    wchar_t character[CCHARW_MAX];
    attr_t attributes;
    cchar_t there;
    short pair;

    return mvin_wch(line, column, &there) == ERR ||
           (getcchar(&there, character, &attributes, &pair, NULL) != ERR && character[0] == L' ');
}

void paint_cursor(const struct paint *paint, int line, const char *mark)
{
    int column = paint->left + paint->cursor_column;

    if (line < 0 || paint->cursor_column < 0)
        return;
    if (is_blank(line, column - 1) && is_blank(line, column) && is_blank(line, column + 1))
        (void)paint_text(paint, line, column, column + 1, TONE_STRONG, mark);
}

int paint_sample(const struct paint *paint, int line, int column, enum cell_kind kind)
{
    struct cell cell = { .kind = (uint8_t)kind, .share = 255 };

    if (paint_by_letters(paint))
        put_letter(paint, line, column, cell_letter(&cell), cell_kinds[kind].hue, false);
    else
        put_shades(line, column, L" ", SHADE_CURSOR, shade_of(&cell));
    return column + 1;
}
