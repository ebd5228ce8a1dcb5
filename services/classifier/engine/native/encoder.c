/*
 * Encoder: token ids -> mean-pooled vectors, a BERT encoder in int8 on AVX-512 VNNI. No threads, no
 * state, no Python: `encode` may run in any number of threads at once, each with a workspace of its own.
 *
 * The texts of a call lie one behind the other, so nothing is ever padded. A matrix product adds
 * integers, exactly; all else is computed per token or within one text, in an order that its length
 * alone decides. So a text's vector is the same, bit for bit, whoever its neighbours are.
 *
 * Weights are int8 with a scale per output, activations int8 with a scale per token, as CTranslate2
 * has them. An activation is stored plus 128, because vpdpbusd wants one side unsigned; `shift` takes
 * 128 times the sum of the weights off again.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define INTERFACE 1 /* of the structures and functions; 0: this processor is none for it */

#if !defined(__AVX512VNNI__)
EXPORT int supported(void) { return 0; }
#else

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
#define PANEL 64 /* outputs computed together: four vectors */
#define ROWS 6   /* tokens computed together: 6 x 4 sums fill the registers */
#define QUERIES 8
#define MAX_TOKENS 512 /* of one text */

typedef __m512 floats;
typedef __m512i ints;

typedef struct {
  int32_t inputs, outputs; /* multiples of PANEL */
  const int8_t *weight;    /* (outputs / 64, inputs / 4, 64, 4) */
  const int32_t *shift;    /* (outputs): -128 times the sum of an output's weights */
  const float *scale;      /* (outputs): what one step of a weight is worth */
  const float *bias;       /* (outputs) */
} Linear;

typedef struct {
  const float *gamma, *beta; /* (width) */
} Norm;

typedef struct {
  Linear attend, merge, widen, narrow;
  Norm after_attention, after_feed;
} Layer;

typedef struct {
  int32_t width, feed, heads, layers;
  float epsilon;
  const int8_t *words;      /* (vocabulary, width) */
  const float *word_scale;  /* (vocabulary) */
  const float *positions;   /* (longest text, width) */
  Norm after_words;
  const Layer *layer;
} Encoder;

EXPORT int supported(void) {
  __builtin_cpu_init();
  int there = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vnni");
  return there ? INTERFACE : 0;
}

/* ------------------------------------------------------------------------------- functions of a number */

/* x times the normal distribution function, by an odd polynomial: off by at most 5e-5. */
INLINE floats gelu(floats x) {
  static const float C[] = {0.398864478f,    -0.0662634373f,  0.00976049993f,
                            -0.00109079597f, 9.03312612e-05f, -5.31763453e-06f,
                            2.0778279e-07f,  -4.78204898e-09f, 4.87093803e-11f};
  const floats edge = _mm512_set1_ps(4.25f);
  floats t = _mm512_max_ps(_mm512_min_ps(x, edge), _mm512_sub_ps(_mm512_setzero_ps(), edge));
  floats s = _mm512_mul_ps(t, t), p = _mm512_set1_ps(C[8]);
#pragma GCC unroll 8
  for (int i = 7; i >= 0; i--) p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(C[i]));
  return _mm512_mul_ps(x, _mm512_fmadd_ps(t, p, _mm512_set1_ps(0.5f)));
}

/* e to the x for x <= 0: 2^n from the exponent, the rest by its Taylor series (relative error 2e-7). */
INLINE floats power(floats x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-87.0f));
  floats n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
  floats r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  floats p = _mm512_set1_ps(1.0f / 720);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

/* -------------------------------------------------------------------------------------------- of a row */

/* Write a row as int8 plus 128; returns what one step is worth. */
INLINE float quantise(const float *row, int width, uint8_t *out) {
  floats most = _mm512_setzero_ps();
  for (int i = 0; i < width; i += LANES)
    most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(row + i)));
  float largest = _mm512_reduce_max_ps(most);
  float steps = largest > 0 ? 127.0f / largest : 1.0f;
  const floats by = _mm512_set1_ps(steps);
  const ints zero = _mm512_set1_epi32(128);
  for (int i = 0; i < width; i += LANES) {
    ints q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(row + i), by));
    _mm_storeu_si128((__m128i *)(out + i), _mm512_cvtusepi32_epi8(_mm512_add_epi32(q, zero)));
  }
  return 1.0f / steps;
}

INLINE void bend(float *row, int width) {
  for (int i = 0; i < width; i += LANES) _mm512_storeu_ps(row + i, gelu(_mm512_loadu_ps(row + i)));
}

INLINE void normalise(float *row, int width, float epsilon, const Norm *norm) {
  floats sum = _mm512_setzero_ps(), square = _mm512_setzero_ps();
  for (int i = 0; i < width; i += LANES) sum = _mm512_add_ps(sum, _mm512_loadu_ps(row + i));
  const floats mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / (float)width);
  for (int i = 0; i < width; i += LANES) {
    floats off = _mm512_sub_ps(_mm512_loadu_ps(row + i), mean);
    square = _mm512_fmadd_ps(off, off, square);
  }
  float variance = _mm512_reduce_add_ps(square) / (float)width + epsilon;
  const floats by = _mm512_set1_ps(1.0f / __builtin_sqrtf(variance));
  for (int i = 0; i < width; i += LANES) {
    floats off = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + i), mean), by);
    floats g = _mm512_loadu_ps(norm->gamma + i), b = _mm512_loadu_ps(norm->beta + i);
    _mm512_storeu_ps(row + i, _mm512_fmadd_ps(off, g, b));
  }
}

INLINE void embed(const Encoder *e, int32_t word, int place, float *row) {
  const int8_t *w = e->words + (size_t)word * e->width;
  const float *p = e->positions + (size_t)place * e->width;
  const floats scale = _mm512_set1_ps(e->word_scale[word]);
  for (int i = 0; i < e->width; i += LANES) {
    ints wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(w + i)));
    _mm512_storeu_ps(row + i, _mm512_fmadd_ps(_mm512_cvtepi32_ps(wide), scale, _mm512_loadu_ps(p + i)));
  }
}

/* ------------------------------------------------------------------------------------- matrix products */

enum Then { STORE, ADD };

/*
 * `rows` tokens times one panel; `rows` and `then` are constants wherever it is used. The 24 sums have
 * names, written by macros: an array of them would not stay in registers.
 */
INLINE floats finish(const enum Then then, ints sum, floats scale, floats bias, float step, const float *to) {
  floats y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale);
  y = _mm512_fmadd_ps(y, _mm512_set1_ps(step), bias);
  if (then == ADD) y = _mm512_add_ps(y, _mm512_loadu_ps(to));
  return y;
}

#define MAC(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define BEGIN(r) ints s##r##0 = shift0, s##r##1 = shift1, s##r##2 = shift2, s##r##3 = shift3;
#define MULTIPLY(r)                                       \
  if (r < rows) {                                         \
    int32_t four;                                         \
    memcpy(&four, r < 3 ? low + r * stride : high + (r - 3) * stride, 4);   \
    const ints x = _mm512_set1_epi32(four);               \
    MAC(s##r##0, x, w0);        \
    MAC(s##r##1, x, w1);        \
    MAC(s##r##2, x, w2);        \
    MAC(s##r##3, x, w3);        \
  }
#define FINISH(r, c)                                                                             \
  if (r < rows) {                                                                                \
    float *to = out + (size_t)r * l->outputs + c * LANES;                                        \
    _mm512_storeu_ps(to, finish(then, s##r##c, scale, bias, steps[r], to));                      \
  }
#define COLUMN(c)                                              \
  {                                                            \
    const floats scale = _mm512_loadu_ps(l->scale + column + c * LANES); \
    const floats bias = _mm512_loadu_ps(l->bias + column + c * LANES);   \
    FINISH(0, c) FINISH(1, c) FINISH(2, c) FINISH(3, c) FINISH(4, c) FINISH(5, c) \
  }

INLINE void tile(const int rows, const enum Then then, const Linear *l, int panel, const uint8_t *in,
                 const float *steps, float *out) {
  const int column = panel * PANEL;
  const int8_t *weight = l->weight + (size_t)column * l->inputs;
  const ints shift0 = _mm512_loadu_si512(l->shift + column), shift1 = _mm512_loadu_si512(l->shift + column + 16);
  const ints shift2 = _mm512_loadu_si512(l->shift + column + 32), shift3 = _mm512_loadu_si512(l->shift + column + 48);
  out += column;
  EACH_ROW(BEGIN)
  const ptrdiff_t stride = l->inputs; /* low, high: six rows in reach of two pointers and one stride */
  const uint8_t *low = in, *high = in + 3 * stride, *const end = in + stride;
  for (; low < end; low += 4, high += 4, weight += 4 * PANEL) {
    const ints w0 = _mm512_loadu_si512(weight), w1 = _mm512_loadu_si512(weight + 64);
    const ints w2 = _mm512_loadu_si512(weight + 128), w3 = _mm512_loadu_si512(weight + 192);
    EACH_ROW(MULTIPLY)
  }
  COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3)
}

INLINE void linear(const enum Then then, const Linear *l, const uint8_t *in, const float *steps, int tokens,
                   float *out) {
  for (int panel = 0; panel < l->outputs / PANEL; panel++) {
    int t = 0;
    for (; t + ROWS <= tokens; t += ROWS)
      tile(ROWS, then, l, panel, in + (size_t)t * l->inputs, steps + t, out + (size_t)t * l->outputs);
    const uint8_t *i = in + (size_t)t * l->inputs;
    float *o = out + (size_t)t * l->outputs;
    switch (tokens - t) {
      case 5: tile(5, then, l, panel, i, steps + t, o); break;
      case 4: tile(4, then, l, panel, i, steps + t, o); break;
      case 3: tile(3, then, l, panel, i, steps + t, o); break;
      case 2: tile(2, then, l, panel, i, steps + t, o); break;
      case 1: tile(1, then, l, panel, i, steps + t, o); break;
      default: break;
    }
  }
}

/* ------------------------------------------------------------------------------------------- attention */

typedef struct {
  float keys[64][MAX_TOKENS];         /* of one head, turned: (dimensions, tokens) */
  float shares[QUERIES][MAX_TOKENS];  /* of one head and eight queries */
} Attention;

/* Turn the keys of one head, so that 16 tokens lie side by side; past the end lie zeros. */
INLINE void turn(const int size, const float *keys, int length, size_t stride, Attention *a) {
  const ints lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const ints step = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)stride));
  for (int j = 0; j < length; j += LANES) {
    int left = length - j;
    __mmask16 there = left >= LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
    for (int d = 0; d < size; d++)
      _mm512_storeu_ps(&a->keys[d][j], _mm512_mask_i32gather_ps(_mm512_setzero_ps(), there, step,
                                                                keys + (size_t)j * stride + d, 4));
  }
}

/* How much each of eight queries takes of each token: softmax of their products with the keys. */
INLINE void weigh(const int size, const float *const *query, int length, float factor, Attention *a,
                  float *whole) {
  floats most[QUERIES], sum[QUERIES];
#pragma GCC unroll 8
  for (int q = 0; q < QUERIES; q++) most[q] = _mm512_set1_ps(-1e30f);
  for (int j = 0; j < length; j += LANES) {
    floats product[QUERIES];
#pragma GCC unroll 8
    for (int q = 0; q < QUERIES; q++) product[q] = _mm512_setzero_ps();
    for (int d = 0; d < size; d++) {
      floats key = _mm512_loadu_ps(&a->keys[d][j]);
#pragma GCC unroll 8
      for (int q = 0; q < QUERIES; q++)
        product[q] = _mm512_fmadd_ps(_mm512_set1_ps(query[q][d]), key, product[q]);
    }
    int left = length - j;
    __mmask16 there = left >= LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
#pragma GCC unroll 8
    for (int q = 0; q < QUERIES; q++) {
      floats s = _mm512_mask_mul_ps(_mm512_set1_ps(-1e30f), there, product[q], _mm512_set1_ps(factor));
      _mm512_storeu_ps(&a->shares[q][j], s);
      most[q] = _mm512_max_ps(most[q], s);
    }
  }
#pragma GCC unroll 8
  for (int q = 0; q < QUERIES; q++) {
    const floats top = _mm512_set1_ps(_mm512_reduce_max_ps(most[q]));
    sum[q] = _mm512_setzero_ps();
    for (int j = 0; j < length; j += LANES) {
      int left = length - j;
      __mmask16 there = left >= LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
      floats p = power(_mm512_sub_ps(_mm512_loadu_ps(&a->shares[q][j]), top));
      p = _mm512_maskz_mov_ps(there, p);
      _mm512_storeu_ps(&a->shares[q][j], p);
      sum[q] = _mm512_add_ps(sum[q], p);
    }
    whole[q] = 1.0f / _mm512_reduce_add_ps(sum[q]);
  }
}

/* `size`: dimensions of a head, a constant wherever it is used. */
INLINE void attend(const int size, const Encoder *e, const float *mixed, int length, float *out, Attention *a) {
  const size_t stride = 3 * (size_t)e->width;
  const float factor = 1.0f / __builtin_sqrtf((float)size);
  for (int h = 0; h < e->heads; h++) {
    const float *queries = mixed + h * size;
    const float *values = queries + 2 * e->width;
    turn(size, queries + e->width, length, stride, a);
    for (int i = 0; i < length; i += QUERIES) {
      const float *query[QUERIES];
      float whole[QUERIES];
#pragma GCC unroll 8
      for (int q = 0; q < QUERIES; q++) /* past the end the last one again */
        query[q] = queries + (size_t)(i + q < length ? i + q : length - 1) * stride;
      weigh(size, query, length, factor, a, whole);
      for (int half = 0; half < size; half += 2 * LANES) {
        floats sum[QUERIES][2];
#pragma GCC unroll 8
        for (int q = 0; q < QUERIES; q++) sum[q][0] = sum[q][1] = _mm512_setzero_ps();
        for (int j = 0; j < length; j++) {
          floats v0 = _mm512_loadu_ps(values + (size_t)j * stride + half);
          floats v1 = _mm512_loadu_ps(values + (size_t)j * stride + half + LANES);
#pragma GCC unroll 8
          for (int q = 0; q < QUERIES; q++) {
            floats p = _mm512_set1_ps(a->shares[q][j]);
            sum[q][0] = _mm512_fmadd_ps(p, v0, sum[q][0]);
            sum[q][1] = _mm512_fmadd_ps(p, v1, sum[q][1]);
          }
        }
        for (int q = 0; q < QUERIES && i + q < length; q++) {
          float *to = out + (size_t)(i + q) * e->width + h * size + half;
          _mm512_storeu_ps(to, _mm512_mul_ps(sum[q][0], _mm512_set1_ps(whole[q])));
          _mm512_storeu_ps(to + LANES, _mm512_mul_ps(sum[q][1], _mm512_set1_ps(whole[q])));
        }
      }
    }
  }
}

/* ------------------------------------------------------------------------------------------ the encoder */

typedef struct {
  float *x;       /* (tokens, width): what flows from layer to layer */
  float *wide;    /* (tokens, 3 width or feed) */
  float *steps;   /* (tokens): what one step of a row is worth */
  uint8_t *small; /* (tokens, width or feed): a quantised row */
  float *context; /* (tokens, width) */
  Attention *attention;
} Space;

static size_t cut(const Encoder *e, size_t tokens, uint8_t *at, Space *s) {
  size_t width = (size_t)e->width, feed = (size_t)e->feed, used = 0;
  size_t wide = 3 * width > feed ? 3 * width : feed, small = width > feed ? width : feed;
#define TAKE(part, bytes) s->part = (void *)(at + used), used += ((bytes) + 63) & ~(size_t)63
  TAKE(x, tokens * width * sizeof(float));
  TAKE(wide, tokens * wide * sizeof(float));
  TAKE(steps, tokens * sizeof(float));
  TAKE(small, tokens * small);
  TAKE(context, tokens * width * sizeof(float));
  TAKE(attention, sizeof(Attention));
#undef TAKE
  return used;
}

static void pass(const Encoder *e, const Layer *l, const int32_t *lengths, int texts, int tokens, Space *s) {
  const int width = e->width, feed = e->feed;
  for (int t = 0; t < tokens; t++) s->steps[t] = quantise(s->x + t * width, width, s->small + t * width);
  linear(STORE, &l->attend, s->small, s->steps, tokens, s->wide);
  for (int i = 0, t = 0; i < texts; t += lengths[i++]) {
    const float *mixed = s->wide + (size_t)t * 3 * width;
    if (width / e->heads == 32)
      attend(32, e, mixed, lengths[i], s->context + (size_t)t * width, s->attention);
    else
      attend(64, e, mixed, lengths[i], s->context + (size_t)t * width, s->attention);
  }
  for (int t = 0; t < tokens; t++) s->steps[t] = quantise(s->context + t * width, width, s->small + t * width);
  linear(ADD, &l->merge, s->small, s->steps, tokens, s->x);
  for (int t = 0; t < tokens; t++) {
    normalise(s->x + t * width, width, e->epsilon, &l->after_attention);
    s->steps[t] = quantise(s->x + t * width, width, s->small + t * width);
  }
  linear(STORE, &l->widen, s->small, s->steps, tokens, s->wide);
  for (int t = 0; t < tokens; t++) {
    bend(s->wide + t * feed, feed); /* here, not behind the product: six times cheaper (measured) */
    s->steps[t] = quantise(s->wide + t * feed, feed, s->small + t * feed);
  }
  linear(ADD, &l->narrow, s->small, s->steps, tokens, s->x);
  for (int t = 0; t < tokens; t++) normalise(s->x + t * width, width, e->epsilon, &l->after_feed);
}

/* Bytes of workspace for a call with this many tokens. */
EXPORT size_t workspace(const Encoder *e, size_t tokens) {
  Space unused;
  return cut(e, tokens, NULL, &unused);
}

/*
 * ids: all texts, one behind the other; lengths: (texts), each from 1 to MAX_TOKENS; space: aligned to
 * 64 bytes, as large as `workspace` says; pooled: (texts, width).
 */
EXPORT void encode(const Encoder *e, const int32_t *ids, const int32_t *lengths, int32_t texts, void *space,
                   float *pooled) {
  int tokens = 0, width = e->width;
  for (int i = 0; i < texts; i++) tokens += lengths[i];
  Space s;
  cut(e, (size_t)tokens, space, &s);
  for (int i = 0, t = 0; i < texts; i++)
    for (int place = 0; place < lengths[i]; place++, t++) {
      embed(e, ids[t], place, s.x + t * width);
      normalise(s.x + t * width, width, e->epsilon, &e->after_words);
    }
  for (int l = 0; l < e->layers; l++) pass(e, e->layer + l, lengths, texts, tokens, &s);
  for (int i = 0, t = 0; i < texts; t += lengths[i++])
    for (int c = 0; c < width; c += LANES) {
      floats sum = _mm512_setzero_ps();
      for (int j = t; j < t + lengths[i]; j++) sum = _mm512_add_ps(sum, _mm512_loadu_ps(s.x + j * width + c));
      _mm512_storeu_ps(pooled + (size_t)i * width + c,
                       _mm512_mul_ps(sum, _mm512_set1_ps(1.0f / (float)lengths[i])));
    }
}

#endif
