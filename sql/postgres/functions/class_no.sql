-- A class of work as a number: 0 urgent, 1 normal, 2 bulk. HF003 for any other word.
create or replace function holdfast.class_no(class text)
returns smallint language plpgsql immutable as $$
begin
    case class
        when 'urgent' then return 0;
        when 'normal' then return 1;
        when 'bulk' then return 2;
        else raise exception using errcode = 'HF003',
            message = format('class: %s, not urgent, normal or bulk', coalesce(class, 'null'));
    end case;
end
$$;
