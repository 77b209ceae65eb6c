create table reviews (district text, month text, reviewed int, sampled int, repealed int, changed_at text);
insert into reviews values
    ('140108000000', '2024-05', 4, 2, 0, '2024-06-03 09:00'),
    ('140108000000', '2024-06', 6, 2, 1, '2024-07-02 09:00');
